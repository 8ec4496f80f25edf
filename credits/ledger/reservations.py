"""Reservations: hold credits, then commit all or part of them, release them, or let them expire.

Each step is one call of a function in `credits/sql/`, which moves the balance through
`credits.post_transaction`. Amounts are credits, times UTC.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import Min

from credits.amounts import plain, positive
from credits.errors import DomainError
from credits.ids import new_id
from credits.ledger.db_functions import Routine
from credits.ledger.movement_counters import movements
from credits.ledger.posting import Origin, Priced, named, refuse
from credits.models import Balance, Reservation, Transaction

DEFAULT_TTL = timedelta(hours=24)
SHORTEST_TTL = timedelta(seconds=1)
LONGEST_TTL = timedelta(days=7)

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


def expire_due(*, now: datetime, limit: int) -> Iterator[Reservation]:
    """Expire up to `limit` open reservations whose time is over, each in its own transaction.

    Any number of processes may do so at once: each takes rows that no other one holds.
    """
    origin = Origin("system", at=now)
    for _ in range(limit):
        with transaction.atomic():
            due = (
                Reservation.objects.filter(status="open", expires_at__lte=now)
                .order_by("expires_at")
                .select_for_update(skip_locked=True)
                .first()
            )
            if due is None:
                return
            expired = _settled(due.pk, _Step("expired"), origin).reservation
        yield expired


def next_due() -> datetime | None:
    """Return when the first open reservation expires or should have, None without any."""
    still_open = Reservation.objects.filter(status="open")
    due: datetime | None = still_open.aggregate(due=Min("expires_at"))["due"]
    return due


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
