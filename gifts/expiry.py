"""Expiry: return the credits of expired gifts, and delete old counts of invalid codes.

An expired gift cannot be redeemed, even before the job has run.
"""

from collections.abc import Iterator
from datetime import datetime

from django.db.models import QuerySet

from credits import due_rows
from credits.due_rows import DueWork
from credits.ledger import Origin
from gifts import throttle, transitions
from gifts.models import GiftCode
from gifts.transitions import Status

JOB = "expire_gifts"


def expire_due(*, now: datetime, limit: int) -> Iterator[str]:
    """Expire up to `limit` active gifts past their expiry; yield `expired`, `skipped` or `failed`.

    Each gift has its own transaction. `due_rows.settle_each` explains `skipped` and `failed`. Any
    number of processes may run this at the same time.
    """

    def expire(gift: GiftCode) -> str:
        transitions.go_back(gift, Status.EXPIRED, origin=Origin("system", at=now), now=now)
        return gift.status

    work = DueWork(JOB, _active().filter(expires_at__lte=now), "expires_at", expire, "creator_id")
    for settled in due_rows.settle_each(work, now=now, limit=limit):
        yield settled.outcome
    throttle.forget(now)


def next_due(now: datetime) -> datetime | None:
    """Return when the first active gift expires or should have expired, or None without one.

    Failed gifts that are not yet due for a retry do not count.
    """
    return due_rows.next_due(JOB, _active(), "expires_at", now=now)


def _active() -> QuerySet[GiftCode]:
    return GiftCode.objects.filter(status=Status.ACTIVE)
