"""Secrets of subscriptions, and the signatures by Standard Webhooks that are made with them.

A signature needs the secret itself, so it is stored encrypted, not as a digest. The key is derived
from SECRET_KEY, so a dump of the database alone signs nothing.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Iterable
from datetime import datetime

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

MARK = "whsec_"
BYTES = 32


class SecretUnreadable(Exception):
    """SECRET_KEY changed after the secret was stored. The subscription's secret must be rotated."""


def new_secret() -> str:
    """Return a new random secret as the receiver gets it: `whsec_` and 32 bytes in base64."""
    return MARK + base64.b64encode(os.urandom(BYTES)).decode()


def encrypted(secret: str) -> str:
    """Return the secret as it is stored."""
    return _cipher().encrypt(secret.encode()).decode()


def decrypted(stored: str) -> str:
    """Return a stored secret. Raises SecretUnreadable."""
    try:
        return _cipher().decrypt(stored.encode()).decode()
    except InvalidToken as error:
        raise SecretUnreadable("The secret cannot be decrypted: rotate it") from error


def headers(
    message_id: str, body: bytes, *, secrets: Iterable[str], at: datetime
) -> dict[str, str]:
    """Return the headers of a message that is sent at `at`, with a signature by each secret."""
    seconds = str(int(at.timestamp()))
    signed = b".".join((message_id.encode(), seconds.encode(), body))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(_signature(signed, secret) for secret in secrets),
    }


def _signature(signed: bytes, secret: str) -> str:
    key = base64.b64decode(secret.removeprefix(MARK))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _cipher() -> Fernet:
    # Without a salt, because SECRET_KEY is random and all processes must derive the same key.
    derivation = HKDF(SHA256(), length=32, salt=None, info=b"mana-credits event subscriptions")
    return Fernet(base64.urlsafe_b64encode(derivation.derive(settings.SECRET_KEY.encode())))
