"""Messages that mana-credits sends to a service, in the form of Standard Webhooks."""

from collections.abc import Mapping
from typing import Any, cast

from standardwebhooks import Webhook, WebhookVerificationError


class InvalidMessage(ValueError):
    """The message was not signed with the secret, is too old, or is not JSON."""


def verify(body: str | bytes, headers: Mapping[str, str], *, secret: str) -> dict[str, Any]:
    """Verify a message's signature and timestamp, and return its JSON object.

    `headers` are those of the request, `secret` that of the subscription (`whsec_…`). The header
    `webhook-id` names the message: handle each id once. Raises InvalidMessage.
    """
    # The names of HTTP headers have no case; the library looks for lower case.
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        return cast("dict[str, Any]", Webhook(secret).verify(body, lower))
    except (WebhookVerificationError, ValueError) as error:
        raise InvalidMessage(str(error)) from error
