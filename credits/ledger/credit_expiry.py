"""Expiry of credits: what is left of due lots is posted as expired.

Nobody can spend expired credits even if this is late: each movement of a user first posts what has
expired (`credits/ledger/sql/expire_lots.sql`).
"""

from collections.abc import Iterator
from datetime import datetime

from django.db.models import QuerySet

from credits import due_rows
from credits.due_rows import DueWork
from credits.ledger import credit_lots, ledger
from credits.ledger.posting import Origin
from credits.models import CreditLot

EXPIRE_JOB = "expire_credits"


def expire_due(*, now: datetime, limit: int) -> Iterator[str]:
    """Post the expiry of up to `limit` due lots; yield `expired`, `skipped` or `failed` for each.

    Each lot has its own transaction, which also posts the user's other due lots: these are not
    listed again. `due_rows.settle_each` explains `skipped` and `failed`. Any number of processes
    may run this at the same time.
    """
    origin = Origin("system", at=now)

    def expire(lot: CreditLot) -> str:
        # Every call of the write path posts what has expired. This one moves nothing else.
        ledger.ensure_balance(lot.user_id, origin=origin)
        return "expired"

    due = _open().filter(expires_at__lte=now)
    work = DueWork(EXPIRE_JOB, due, "expires_at", expire, lock=credit_lots.lock_owner)
    return (settled.outcome for settled in due_rows.settle_each(work, now=now, limit=limit))


def next_due(now: datetime) -> datetime | None:
    """Return when the first lot expires or should have expired, or None without one.

    Failed lots that are not yet due for a retry do not count.
    """
    return due_rows.next_due(EXPIRE_JOB, _open(), "expires_at", now=now)


def _open() -> QuerySet[CreditLot]:
    return CreditLot.objects.filter(remaining__gt=0)
