"""Reservations: hold credits, then commit all or part of them, release them, or let them expire.

Each step is one call of a function in `credits/sql/`, which moves the balance through
`credits.post_transaction`. Amounts are credits, times UTC.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from django.db.models import Min, QuerySet

from credits import due_rows
from credits.amounts import plain, positive
from credits.due_rows import Work
from credits.errors import DomainError
from credits.ids import new_id
from credits.ledger.db_functions import Routine
from credits.ledger.movement_counters import movements
from credits.ledger.posting import Origin, Priced, named, refuse
from credits.models import Balance, Reservation, Transaction

DEFAULT_TTL = timedelta(hours=24)
SHORTEST_TTL = timedelta(seconds=1)
LONGEST_TTL = timedelta(days=7)
EXPIRE_JOB = "expire_reservations"

_reserve = Routine("credits.reserve", arity=13, reservation=Reservation, balance=Balance)
_settle = Routine(
    "credits.settle_reservation",
    arity=10,
    reservation=Reservation,
    balance=Balance,
    entry=Transaction,
)


class Hold(NamedTuple):
    """A reservation and the balance as it stands now; `replayed` when nothing moved."""

    reservation: Reservation
    balance: Balance
    replayed: bool


class ReservationUnknown(DomainError):
    """There is no such reservation."""

    code = "reservation_not_found"
    status = 404
    message = "Reservation not found"


class ReservationCommitted(DomainError):
    """The reservation was committed, or committed with another amount."""

    code = "reservation_committed"
    status = 409
    message = "This reservation was committed"


class ReservationReleased(DomainError):
    """The reservation was released."""

    code = "reservation_released"
    status = 409
    message = "This reservation was released"


class ReservationExpired(DomainError):
    """The reservation's time is over and its credits are free again."""

    code = "reservation_expired"
    status = 409
    message = "This reservation has expired"


class ExceedsReservation(DomainError):
    """More would be committed than was reserved."""

    code = "exceeds_reservation"
    message = "More than was reserved"


class InvalidTtl(DomainError):
    """A reservation lives 1 second to 7 days."""

    code = "invalid_ttl"
    message = "A reservation lives from 1 second to 7 days"


REFUSALS: dict[str, type[DomainError]] = {
    "unknown_reservation": ReservationUnknown,
    "reservation_committed": ReservationCommitted,
    "reservation_released": ReservationReleased,
    "reservation_expired": ReservationExpired,
    "exceeds_reservation": ExceedsReservation,
}


def reserve(
    user_id: str,
    amount: Decimal | Priced,
    *,
    reason: str,
    origin: Origin,
    ttl: timedelta = DEFAULT_TTL,
) -> Hold:
    """Hold `amount` for `ttl`; `reason` is `APP` or `APP:WHAT`.

    Raises InsufficientCredits, OperationUnknown, InvalidTtl, and what any verb of the ledger may.
    """
    if not SHORTEST_TTL <= ttl <= LONGEST_TTL:
        raise InvalidTtl
    operation, quantity = amount if isinstance(amount, Priced) else (None, None)
    app_id = reason.partition(":")[0]
    outcome, required, reservation, balance = _reserve(
        new_id(),
        user_id,
        None if isinstance(amount, Priced) else positive(amount),
        operation,
        quantity,
        app_id,
        reason,
        ttl,
        origin.actor,
        origin.request_id,
        origin.key,
        origin.request("reserve", *named(amount), app_id),
        origin.at,
    )
    movements("reserve", outcome).inc()
    if outcome not in {"posted", "replayed"}:
        raise refuse(outcome, required=required, balance=balance)
    return Hold(reservation, balance, replayed=outcome == "replayed")


def commit(
    reservation_id: UUID,
    *,
    origin: Origin,
    amount: Decimal | None = None,
    description: str | None = None,
) -> Hold:
    """Spend what was reserved, or `amount` of it and let the rest go.

    Raises ReservationUnknown, ReservationReleased, ReservationExpired, ReservationCommitted (with
    another amount), ExceedsReservation.
    """
    taken = None if amount is None else positive(amount)
    request = origin.request("commit", reservation_id, taken and plain(taken))
    return _settled(reservation_id, _Step("committed", request, taken, description), origin)


def release(reservation_id: UUID, *, origin: Origin) -> Hold:
    """Let the held credits go. Raises ReservationUnknown, -Committed, -Expired."""
    request = origin.request("release", reservation_id)
    return _settled(reservation_id, _Step("released", request), origin)


def expire_due(*, now: datetime, limit: int) -> Iterator[str]:
    """Expire up to `limit` open reservations whose time is over; yield `expired` for each.

    Each one in its own transaction; `skipped` and `failed` as `due_rows.settle_each` says. Any
    number of processes may do so at once.
    """
    origin = Origin("system", at=now)

    def expire(reservation: Reservation) -> str:
        return _settled(reservation.pk, _Step("expired"), origin).reservation.status

    due = _open().filter(expires_at__lte=now)
    work = Work(EXPIRE_JOB, due, "expires_at", expire)
    return (settled.outcome for settled in due_rows.settle_each(work, now=now, limit=limit))


def next_due(now: datetime) -> datetime | None:
    """Return when the first open reservation expires or should have, None without any.

    Reservations that failed to expire and are not tried again yet do not count.
    """
    waiting = _open().exclude(pk__in=due_rows.postponed_keys(EXPIRE_JOB, now=now))
    due: datetime | None = waiting.aggregate(due=Min("expires_at"))["due"]
    return due


def _open() -> QuerySet[Reservation]:
    return Reservation.objects.filter(status=Reservation.Status.OPEN)


class _Step(NamedTuple):
    status: str
    request: str | None = None
    amount: Decimal | None = None
    description: str | None = None


def _settled(reservation_id: UUID, step: _Step, origin: Origin) -> Hold:
    outcome, required, reservation, balance, entry = _settle(
        reservation_id,
        step.status,
        step.amount,
        new_id(),
        step.description,
        origin.actor,
        origin.request_id,
        origin.key,
        step.request,
        origin.at,
    )
    movements(step.status, outcome).inc()
    if outcome in REFUSALS:
        raise REFUSALS[outcome]
    if outcome not in {"posted", "replayed"}:
        raise refuse(outcome, required=required, balance=balance)
    reservation.transaction = entry
    return Hold(reservation, balance, replayed=outcome == "replayed")
