"""The client of mana-notify."""

from collections.abc import Mapping
from typing import Any

import requests
from django.conf import settings
from django.utils.html import linebreaks

from credits import http_deadline

PATH = "/api/v1/notifications/send"
DEADLINE_SECONDS = 5  # for the whole call


class NotifyRefused(Exception):
    """mana-notify rejected this message."""


class NotifyUnavailable(Exception):
    """mana-notify cannot be reached or cannot accept messages at present."""


def configured() -> bool:
    """Return whether MANA_NOTIFY_URL is set."""
    return bool(settings.MANA_NOTIFY_URL)


def send(body: Mapping[str, Any], *, key: str) -> None:
    """Send one notification with its text as HTML. Raises NotifyRefused, NotifyUnavailable.

    mana-notify drops duplicates by `externalId`. It mails to `recipient`; it does not look up the
    e-mail address of `userId`.
    """
    headers = {"X-Service-Key": settings.MANA_SERVICE_KEYS[0]}
    # Escaped here, because the texts contain names and messages of users.
    html = linebreaks(body["body"].strip(), autoescape=True)
    message = {**body, "body": html, "externalId": key}
    url = settings.MANA_NOTIFY_URL + PATH
    with http_deadline.session(DEADLINE_SECONDS) as session:
        try:
            # A redirect would carry the service key to another host.
            answer = session.post(url, json=message, headers=headers, allow_redirects=False)
        except requests.RequestException as error:
            raise NotifyUnavailable(f"{type(error).__name__}: {error}") from error
    status = answer.status_code
    # A retry may succeed after these statuses. Any other error would be the same at each retry.
    if status >= 500 or status == 429:
        raise NotifyUnavailable(f"answered {status}")
    if not 200 <= status < 300:
        raise NotifyRefused(f"answered {status}")
