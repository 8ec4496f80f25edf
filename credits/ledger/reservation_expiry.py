"""Expiry of reservations: due ones release their credits."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from credits import due_rows
from credits.due_rows import DueWork
from credits.ledger import reservations
from credits.ledger.db_functions import call
from credits.ledger.posting import Origin
from credits.models import Reservation

EXPIRE_JOB = "expire_reservations"


def expire_due(*, now: datetime, limit: int) -> Iterator[str]:
    """Expire up to `limit` due reservations; yield `expired`, `skipped` or `failed` for each.

    Each reservation has its own transaction. `due_rows.settle_each` explains `skipped` and
    `failed`. Any number of processes may run this at the same time.
    """
    origin = Origin("system", at=now)

    def expire(reservation: Reservation) -> str:
        return reservations.expire(reservation.pk, origin=origin).reservation.status

    due = reservations.all_open().filter(expires_at__lte=now)
    work = DueWork(EXPIRE_JOB, due, "expires_at", expire, lock=_lock)
    return (settled.outcome for settled in due_rows.settle_each(work, now=now, limit=limit))


def next_due(now: datetime) -> datetime | None:
    """Return when the first open reservation expires or should have expired, or None without one.

    Failed reservations that are not yet due for a retry do not count.
    """
    return due_rows.next_due(EXPIRE_JOB, reservations.all_open(), "expires_at", now=now)


def _lock(user_id: str, reservation_id: UUID, wait: bool) -> bool:
    locked: bool = call(
        "credits.lock_reservation", user_id=user_id, reservation_id=reservation_id, wait=wait
    )
    return locked
