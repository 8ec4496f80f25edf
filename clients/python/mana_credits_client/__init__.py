"""The client of mana-credits for services.

`Credits` and `AsyncCredits` spend and hold a user's credits, and retry with the same idempotency
key. Each other operation is a module of `mana_credits_client.wire.api`, generated from the OpenAPI
file. `call` sends these with the same retries.
"""

from mana_credits_client.async_client import AsyncCredits, AsyncHold
from mana_credits_client.client import Credits, Hold
from mana_credits_client.requests import CreditsError
from mana_credits_client.webhooks import InvalidMessage, verify

__all__ = (
    "AsyncCredits",
    "AsyncHold",
    "Credits",
    "CreditsError",
    "Hold",
    "InvalidMessage",
    "verify",
)
