"""The one module that calls mana-notify."""

import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

PATH = "/api/v1/notifications/send"
TIMEOUT_SECONDS = 5


class NotifyRefused(Exception):
    """mana-notify does not take this message."""


class NotifyUnavailable(Exception):
    """mana-notify cannot take messages now."""


def configured() -> bool:
    """Return whether there is a mana-notify to send to."""
    return bool(settings.MANA_NOTIFY_URL)


def send(body: Mapping[str, Any], *, key: str) -> None:
    """Send one notification under `key`. Raises NotifyRefused, NotifyUnavailable."""
    url = urlsplit(settings.MANA_NOTIFY_URL)
    kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
    connection = kind(url.netloc, timeout=TIMEOUT_SECONDS)
    headers = {
        "Content-Type": "application/json",
        "X-Service-Key": settings.MANA_SERVICE_KEYS[0],
        "Idempotency-Key": key,
    }
    try:
        connection.request("POST", url.path + PATH, json.dumps(body).encode(), headers)
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        raise NotifyUnavailable(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()
    if status >= 500 or status == 429:
        raise NotifyUnavailable(f"answered {status}")
    if not 200 <= status < 300:
        raise NotifyRefused(f"answered {status}")
