"""Erasure requested by a service: short histories at once, long histories in the worker."""

from collections.abc import Iterator
from datetime import datetime

import structlog
from django.db import OperationalError
from django.db.models import Min

from credits import due_rows
from credits.bulkheads import TooBusy
from credits.models import Balance, ErasureRequest
from mana_credits.privacy import erasure

# Each transaction and each reservation increments the balance's version. Up to this version, an
# erasure takes a fraction of a second.
LONGEST_AT_ONCE = 2_000

logger = structlog.get_logger(__name__)


def erase_or_record(user_id: str, *, now: datetime) -> int:
    """Erase the person, or record the request for the worker. Return the number of rows.

    For a long history, the number is that of its transactions and the balance. A repeated request
    returns the same number until the worker has erased the person.
    """
    balance = Balance.objects.filter(pk=user_id, version__gt=LONGEST_AT_ONCE).first()
    if balance is None:
        return erasure.erase(user_id)
    request, _ = ErasureRequest.objects.get_or_create(
        pk=user_id, defaults={"known_rows": balance.last_number + 1, "requested_at": now}
    )
    return request.known_rows


def complete_due() -> Iterator[str]:
    """Erase everybody with a recorded request. Yield one outcome per statement and per person.

    A request that another process has locked is skipped.
    """
    waiting = ErasureRequest.objects.order_by("requested_at").values_list("pk", flat=True)
    for user_id in list(waiting):
        try:
            yield from _complete(user_id)
        except TooBusy:
            yield "locked"
        except OperationalError as error:
            if not due_rows.is_locked(error):
                raise
            yield "locked"


def next_due(now: datetime) -> datetime | None:
    """Return the time of the oldest request."""
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
