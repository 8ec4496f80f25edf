"""What happens by itself: the credits of expired gifts go back, old counts of misses go away.

An expired gift cannot be redeemed whether or not this has run.
"""

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Min, QuerySet

from credits import due_rows
from credits.due_rows import Work
from credits.ledger.posting import Origin
from gifts import throttle, transitions
from gifts.models import GiftCode
from gifts.transitions import Status

JOB = "expire_gifts"


def expire_due(*, now: datetime, limit: int) -> Iterator[str]:
    """Expire up to `limit` active gifts whose time is over; yield `expired` for each.

    Each one in its own transaction; `skipped` and `failed` as `due_rows.settle_each` says. Any
    number of processes may do so at once.
    """

    def expire(gift: GiftCode) -> str:
        transitions.go_back(gift, Status.EXPIRED, origin=Origin("system", at=now), now=now)
        return gift.status

    work = Work(JOB, _active().filter(expires_at__lte=now), "expires_at", expire, "creator_id")
    for settled in due_rows.settle_each(work, now=now, limit=limit):
        yield settled.outcome
    throttle.forget(now)


def next_due(now: datetime) -> datetime | None:
    """Return when the first active gift expires or should have, None without any.

    Gifts that failed to expire and are not tried again yet do not count.
    """
    waiting = _active().exclude(pk__in=due_rows.postponed_keys(JOB, now=now))
    due: datetime | None = waiting.aggregate(due=Min("expires_at"))["due"]
    return due


def _active() -> QuerySet[GiftCode]:
    return GiftCode.objects.filter(status=Status.ACTIVE)
