"""Reservations: hold credits, then commit all or part of them, release them, or let them expire.

Each step is one call of a database function (`credits/ledger/sql/`), which moves the balance
through `credits.post_transaction`. Amounts are credits, and times are UTC.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, cast
from uuid import UUID

from django.db.models import QuerySet
from psycopg.types.json import Jsonb

from credits.amounts import plain, positive
from credits.catalogue.metered_prices import require_units, units_text, unpaid
from credits.errors import DomainError
from credits.ids import new_id
from credits.ledger.account_marks import marked_id
from credits.ledger.db_functions import Routine, call
from credits.ledger.outcomes import DONE, Reached, error_for, movements
from credits.ledger.posting import ANSWERED, Origin, Priced, amount_fingerprint
from credits.models import Balance, Reservation, Transaction

DEFAULT_TTL = timedelta(hours=24)
SHORTEST_TTL = timedelta(seconds=1)
LONGEST_TTL = timedelta(days=7)
MOST_LISTED = 100


class Hold(NamedTuple):
    """A reservation and the current balance; `replayed` if nothing was moved by this call."""

    reservation: Reservation
    balance: Balance
    replayed: bool

    @property
    def unpaid(self) -> Decimal | None:
        """Return the credits of a commit's price by units that could not be taken, else None."""
        entry = self.reservation.transaction
        return unpaid(entry.metering) if entry and entry.metering else None


class ReservationUnknown(DomainError):
    """The reservation is unknown."""

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
    """The reservation has expired and its credits were released."""

    code = "reservation_expired"
    status = 409
    message = "This reservation has expired"


class ExceedsReservation(DomainError):
    """The amount to commit exceeds the reservation."""

    code = "exceeds_reservation"
    field = "amount"
    message = "The amount exceeds the reservation"


class InvalidTtl(DomainError):
    """The lifetime of a reservation must be 1 second to 7 days."""

    code = "invalid_ttl"
    field = "ttl_seconds"
    message = "The lifetime of a reservation must be 1 second to 7 days"


class _Answer(NamedTuple):
    outcome: str
    required: Decimal | None
    reservation: Reservation | None
    balance: Balance | None
    reached: Reached | None


class _Settlement(NamedTuple):
    outcome: str
    required: Decimal | None
    reservation: Reservation | None
    balance: Balance | None
    entry: Transaction | None


_reserve = Routine(
    "credits.reserve",
    _Answer,
    (
        "reservation_id",
        "user_id",
        "amount",
        "operation",
        "quantity",
        "units",
        "app_id",
        "reason",
        "ttl",
        "actor",
        "request_id",
        "key",
        "fingerprint",
        "at",
    ),
    only=ANSWERED,
)
_settle = Routine(
    "credits.settle_reservation",
    _Settlement,
    (
        "reservation_id",
        "status",
        "amount",
        "units",
        "transaction_id",
        "description",
        "actor",
        "request_id",
        "key",
        "fingerprint",
        "at",
    ),
    only=ANSWERED,
)


def reserve(
    user_id: str,
    amount: Decimal | Priced,
    *,
    reason: str,
    origin: Origin,
    ttl: timedelta = DEFAULT_TTL,
) -> Hold:
    """Hold `amount` for `ttl`; `reason` is `APP` or `APP:WHAT`.

    A replay returns the first reservation. If that was released or has expired, an error is raised
    instead, because work started with it could not be committed. Raises InsufficientCredits,
    SpendingLimitReached, OperationUnknown, UnitsRequired, OperationNotMetered, UnknownUnit,
    InvalidTtl, ReservationReleased, ReservationExpired, and the errors common to all functions of
    the ledger.
    """
    if not SHORTEST_TTL <= ttl <= LONGEST_TTL:
        raise InvalidTtl
    app_id = reason.partition(":")[0]
    answer = _reserve(
        reservation_id=marked_id(user_id),  # a commit names no user: see account_marks
        user_id=user_id,
        **_price_arguments(amount),
        app_id=app_id,
        reason=reason,
        ttl=ttl,
        actor=origin.actor,
        request_id=origin.request_id,
        key=origin.key,
        fingerprint=origin.fingerprint("reserve", *amount_fingerprint(amount), app_id),
        at=origin.at,
    )
    movements("reserve", answer.outcome).inc()
    hold = _hold(answer)
    if hold.replayed:
        _require_usable(hold.reservation, origin.at or datetime.now(UTC))
    return hold


def commit(
    reservation_id: UUID,
    *,
    origin: Origin,
    amount: Decimal | None = None,
    units: Mapping[str, int] | None = None,
    description: str | None = None,
) -> Hold:
    """Spend the reserved credits, `amount` of them, or the price of `units`; release the rest.

    `units`, counts by their name, are what a metered operation really used. Their price may exceed
    the hold: see `Hold.unpaid`. Raises ReservationUnknown, ReservationReleased, ReservationExpired,
    ReservationCommitted (if committed with another amount or other units), ExceedsReservation,
    UnitsRequired, OperationNotMetered, UnknownUnit, InvalidUnits.
    """
    taken = None if amount is None else positive(amount)
    used = () if units is None else (units_text(require_units(units)),)
    fingerprint = origin.fingerprint("commit", reservation_id, taken and plain(taken), *used)
    step = _Step("committed", fingerprint, taken, units, description)
    return _settled(reservation_id, step, origin)


def release(reservation_id: UUID, *, origin: Origin) -> Hold:
    """Release the held credits.

    Raises ReservationUnknown, ReservationCommitted, ReservationExpired.
    """
    fingerprint = origin.fingerprint("release", reservation_id)
    return _settled(reservation_id, _Step("released", fingerprint), origin)


def expire(reservation_id: UUID, *, origin: Origin) -> Hold:
    """Release the credits of a reservation whose time is over."""
    return _settled(reservation_id, _Step("expired"), origin)


def lock_all(user_id: str) -> None:
    """Lock all reservations of a user until the caller commits."""
    call("credits.lock_reservations", user_id=user_id)


def open_of(user_id: str) -> list[Reservation]:
    """Return the user's open reservations, the first to expire first, at most `MOST_LISTED`."""
    return list(all_open().filter(user_id=user_id).order_by("expires_at", "pk")[:MOST_LISTED])


def all_open() -> QuerySet[Reservation]:
    """Return the open reservations of all users."""
    return Reservation.objects.filter(status=Reservation.Status.OPEN)


def _require_usable(reservation: Reservation, now: datetime) -> None:
    if reservation.status == "released":
        raise ReservationReleased
    # The job that expires reservations may not have reached this one yet.
    lapsed = reservation.status == "open" and reservation.expires_at <= now
    if reservation.status == "expired" or lapsed:
        raise ReservationExpired


def _price_arguments(amount: Decimal | Priced) -> dict[str, Any]:
    """Return the arguments for an amount or a price. Raises InvalidAmount, InvalidUnits."""
    if not isinstance(amount, Priced):
        return {"amount": positive(amount), "operation": None, "quantity": None, "units": None}
    return {
        "amount": None,
        "operation": amount.operation,
        "quantity": amount.quantity,
        "units": None if amount.units is None else Jsonb(require_units(amount.units)),
    }


class _Step(NamedTuple):
    status: str
    fingerprint: str | None = None
    amount: Decimal | None = None
    units: Mapping[str, int] | None = None
    description: str | None = None


def _settled(reservation_id: UUID, step: _Step, origin: Origin) -> Hold:
    settlement = _settle(
        reservation_id=reservation_id,
        status=step.status,
        amount=step.amount,
        units=None if step.units is None else Jsonb(step.units),
        transaction_id=new_id(),
        description=step.description,
        actor=origin.actor,
        request_id=origin.request_id,
        key=origin.key,
        fingerprint=step.fingerprint,
        at=origin.at,
    )
    movements(step.status, settlement.outcome).inc()
    hold = _hold(settlement)
    hold.reservation.transaction = settlement.entry
    return hold


def _hold(answer: _Answer | _Settlement) -> Hold:
    if answer.outcome not in DONE:
        reached = answer.reached if isinstance(answer, _Answer) else None
        raise error_for(
            answer.outcome, required=answer.required, balance=answer.balance, reached=reached
        )
    reservation = cast("Reservation", answer.reservation)
    balance = cast("Balance", answer.balance)
    return Hold(reservation, balance, replayed=answer.outcome == "replayed")
