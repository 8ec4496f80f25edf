"""Erasure of a person's data from events: the payloads go, ids and times stay."""

from credits.erasure import Rows
from webhooks.models import StripeEvent


def _lock(user_id: str) -> None:
    """Lock nothing: an event is locked before its purchase, never after it."""


def _strip(user_id: str, pseudonym: str) -> int:
    # The purchases have moved to the pseudonym before.
    done = StripeEvent.objects.filter(purchase__user_id=pseudonym, processed_at__isnull=False)
    return done.update(payload="")


ROWS = Rows(_lock, _strip)
