"""What happens by itself: the credits of expired gifts go back, old counts of misses go away.

An expired gift cannot be redeemed whether or not this has run.
"""

from collections.abc import Iterator
from datetime import datetime

from django.db import transaction
from django.db.models import Min

from credits.ledger.posting import Origin
from gifts import throttle, transitions
from gifts.models import GiftCode
from gifts.transitions import Status

BATCH = 100


def expire_due(*, now: datetime, limit: int) -> Iterator[int]:
    """Expire up to `limit` active gifts whose time is over; yield how many, batch by batch.

    Each batch is one transaction. Any number of processes may do so at once: each takes gifts that
    no other one holds.
    """
    throttle.forget(now)
    while limit > 0 and (expired := _expire_batch(now, min(limit, BATCH))):
        yield expired
        limit -= expired


def next_due() -> datetime | None:
    """Return when the first active gift expires or should have, None without any."""
    active = GiftCode.objects.filter(status=Status.ACTIVE)
    due: datetime | None = active.aggregate(due=Min("expires_at"))["due"]
    return due


@transaction.atomic
def _expire_batch(now: datetime, size: int) -> int:
    due = GiftCode.objects.filter(status=Status.ACTIVE, expires_at__lte=now)
    gifts = list(due.order_by("expires_at").select_for_update(skip_locked=True)[:size])
    for gift in sorted(gifts, key=lambda gift: gift.creator_id):
        transitions.go_back(gift, Status.EXPIRED, origin=Origin("system", at=now), now=now)
    return len(gifts)
