"""Signatures of statements: compact JWS (RFC 7515) with Ed25519, keys published as JWKS (RFC 7517).

STATEMENT_KEYS holds the keys, the newest first. An entry is an Ed25519 secret of 32 bytes in
base64url, or `public:` and the public key of a retired secret. The first secret signs. All keys
are published. The key id is the key's thumbprint (RFC 7638), so that all processes use the same.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings
from jwt.algorithms import OKPAlgorithm
from jwt.utils import base64url_decode

from credits.errors import DomainError

ALGORITHM = "EdDSA"
TYPE = "mana-statement+jws"
PUBLIC = "public:"

PublicKeys = Mapping[str, Ed25519PublicKey]


class SignatureInvalid(DomainError):
    """The signature does not belong to the text, or its key is unknown."""

    code = "signature_invalid"
    message = "The signature is invalid"


class StatementKey(NamedTuple):
    """A key; `secret` is None for a retired one."""

    id: str
    public: Ed25519PublicKey
    secret: Ed25519PrivateKey | None


def sign(payload: bytes) -> str | None:
    """Return the compact JWS of `payload` with the newest secret, or None without a secret."""
    signing = next(((one.id, one.secret) for one in _keys() if one.secret), None)
    if signing is None:
        return None
    key_id, secret = signing
    headers = {"kid": key_id, "typ": TYPE}
    return jwt.PyJWS().encode(payload, secret, algorithm=ALGORITHM, headers=headers)


def verified(signed: str, keys: PublicKeys) -> bytes:
    """Return the payload of a compact JWS by one of `keys`. Raises SignatureInvalid."""
    try:
        header = jwt.get_unverified_header(signed)
        key = keys.get(header["kid"])
        # Without `typ`, any other text signed with the same key would pass as a statement.
        if header.get("typ") != TYPE or key is None:
            raise SignatureInvalid("The signature is not a statement's, or its key is unknown")
        # The algorithm is fixed here: the one in the header was chosen by whoever made the text.
        payload: bytes = jwt.PyJWS().decode(signed, key, algorithms=[ALGORITHM])
    except (jwt.InvalidTokenError, LookupError) as error:
        raise SignatureInvalid from error
    return payload


def public_keys() -> PublicKeys:
    """Return the public keys of the settings by key id."""
    return {one.id: one.public for one in _keys()}


def key_set() -> list[dict[str, Any]]:
    """Return the public keys as JWKs, the newest first."""
    return [{**_jwk(one.public), "kid": one.id, "alg": ALGORITHM, "use": "sig"} for one in _keys()]


def read_key_set(text: str) -> PublicKeys:
    """Return the Ed25519 keys of a JWKS document by key id. Raises ValueError."""
    try:
        found = jwt.PyJWKSet.from_json(text).keys
    except (
        jwt.PyJWTError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        RecursionError,
    ) as error:
        raise ValueError("not a JWKS document") from error
    return {one.key_id: one.key for one in found if one.key_id and _is_usable(one)}


def _is_usable(one: jwt.PyJWK) -> bool:
    return isinstance(one.key, Ed25519PublicKey)


def _keys() -> list[StatementKey]:
    return _read(tuple(settings.STATEMENT_KEYS))


# Keyed by the texts, so that changed settings are read.
@lru_cache(maxsize=8)
def _read(texts: tuple[str, ...]) -> list[StatementKey]:
    return [_key(text) for text in texts]


def _key(text: str) -> StatementKey:
    if text.startswith(PUBLIC):
        raw = base64url_decode(text.removeprefix(PUBLIC))
        public, secret = Ed25519PublicKey.from_public_bytes(raw), None
    else:
        secret = Ed25519PrivateKey.from_private_bytes(base64url_decode(text))
        public = secret.public_key()
    return StatementKey(_thumbprint(public), public, secret)


def _jwk(public: Ed25519PublicKey) -> dict[str, Any]:
    jwk = OKPAlgorithm.to_jwk(public, as_dict=True)
    return {name: jwk[name] for name in ("kty", "crv", "x")}


def _thumbprint(public: Ed25519PublicKey) -> str:
    # RFC 7638 digests the required members in alphabetical order, without white space.
    canonical = json.dumps(_jwk(public), sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).digest()
    return jwt.utils.base64url_encode(digest).decode()
