"""Erasure on request of a service: a short history at once, a long one by the worker."""

from collections.abc import Iterator
from datetime import datetime

import structlog
from django.db import OperationalError
from django.db.models import Min
from psycopg.errors import LockNotAvailable

from credits.models import Balance, ErasureRequest
from mana_credits.privacy import erasure

# Every movement and every reservation counts the balance's version up. Up to so many the rows are
# erased within a fraction of a second.
LONGEST_AT_ONCE = 2_000

logger = structlog.get_logger(__name__)


def erase_or_record(user_id: str, *, now: datetime) -> int:
    """Erase the person, or record that the worker shall; return the number of rows.

    For a long history that is what is known at once: its transactions and the balance. Asking
    again before the worker is done returns the same number.
    """
    balance = Balance.objects.filter(pk=user_id, version__gt=LONGEST_AT_ONCE).first()
    if balance is None:
        return erasure.erase(user_id)
    request, _ = ErasureRequest.objects.get_or_create(
        pk=user_id, defaults={"known_rows": balance.last_number + 1, "requested_at": now}
    )
    return request.known_rows


def complete_due() -> Iterator[str]:
    """Erase whoever is to be erased; yield a word per statement and per person.

    A request that another process holds is left to it.
    """
    waiting = ErasureRequest.objects.order_by("requested_at").values_list("pk", flat=True)
    for user_id in list(waiting):
        try:
            yield from _complete(user_id)
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
            yield "locked"


def next_due(now: datetime) -> datetime | None:
    """Return when the oldest request was made."""
    oldest: datetime | None = ErasureRequest.objects.aggregate(at=Min("requested_at"))["at"]
    return oldest


def _complete(user_id: str) -> Iterator[str]:
    steps = erasure.erasing(user_id)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            logger.info("erased", pseudonym=end.value.pseudonym, rows=end.value.rows.total())
            yield "erased"
            return
        yield "statements"
