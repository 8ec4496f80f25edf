"""Readers of Stripe's JSON objects: payments, refunds, disputes, receipts.

Events, API answers and lists contain the same objects, and all of them are read here. Each reader
raises UnreadableObject if a field is missing or differs from Stripe's documentation.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeGuard
from uuid import UUID

from credits.errors import DomainError
from credits.models import MoneyBack

State = MoneyBack.State
Object = Mapping[str, Any]

RETURNED_REFUNDS = {"failed", "canceled"}
ENDED_DISPUTES = {"won", "warning_closed", "prevented"}
LARGEST_CENTS = 10**13
LONGEST_NAME = 255
LONGEST_STATUS = 64
LONGEST_URL = 2048
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")


class UnreadableObject(DomainError):
    """A field of a Stripe object is missing or invalid; the message names the field."""

    code = "unreadable_object"
    message = "Stripe's object cannot be read"


class Payment(NamedTuple):
    """A payment intent or Checkout Session: Stripe's ids, our purchase id, money and status.

    `failure` is Stripe's code of the last failed attempt to pay, if any.
    """

    intent_id: str | None
    session_id: str | None
    purchase_id: UUID | None
    amount_cents: int
    currency: str
    status: str
    failure: str | None = None


class Movements(NamedTuple):
    """The money that a dispute moved so far, in cents of the payment's currency; both only grow."""

    withdrawn: int
    reinstated: int


class MoneyBackReport(NamedTuple):
    """A refund or a dispute: its payment, its amount, and where the money is.

    `movements` are the sums of Stripe's balance transactions; `state` is used only without them.
    `reported_at` is the time of the report by Stripe's clock. `return_id` is our row's id if an
    operator requested the refund.
    """

    stripe_id: str
    kind: str
    intent_id: str | None
    amount_cents: int
    state: str
    status: str | None
    return_id: UUID | None = None
    movements: Movements | None = None
    reported_at: datetime | None = None


class Receipt(NamedTuple):
    """The URLs of Stripe's receipt or invoice of a payment; None if it does not exist."""

    intent_id: str | None
    purchase_id: UUID | None
    receipt_url: str | None = None
    invoice_url: str | None = None


def of_charge(charge: Object) -> Receipt:
    """Read the receipt of a charge; Stripe copies the payment intent's metadata to the charge."""
    return Receipt(
        id_in(charge, "payment_intent"),
        _our_id(charge, "purchaseId"),
        receipt_url=_page_in(charge, "receipt_url"),
    )


def of_invoice(invoice: Object) -> Receipt:
    """Read a paid invoice; the purchase's id is in the metadata that we sent with the session."""
    return Receipt(
        None,
        _our_id(invoice, "purchaseId"),
        invoice_url=_page_in(invoice, "hosted_invoice_url"),
    )


def of_intent(intent: Object) -> Payment:
    """Read a payment intent; after it succeeded, the amount is the received one."""
    received = cents(intent, "amount_received", default=0)
    return Payment(
        intent_id=name_in(intent, "id"),
        session_id=None,
        purchase_id=_our_id(intent, "purchaseId"),
        amount_cents=received or cents(intent, "amount"),
        currency=name_in(intent, "currency"),
        status=name_in(intent, "status"),
        failure=_failure(intent.get("last_payment_error")),
    )


def of_session(session: Object) -> Payment:
    """Read a Checkout Session; `status` is `paid`, `unpaid` or `no_payment_required`.

    A session without a payment has neither an amount nor a currency.
    """
    return Payment(
        intent_id=id_in(session, "payment_intent"),
        session_id=name_in(session, "id"),
        purchase_id=_our_id(session, "purchaseId"),
        amount_cents=cents(session, "amount_total", default=0),
        currency=name_in(session, "currency") if session.get("currency") else "",
        status=name_in(session, "payment_status"),
    )


def of_refund(refund: Object, *, at: datetime | None = None) -> MoneyBackReport:
    """Read a refund reported `at`. An accepted refund counts as gone until it fails."""
    status = _status(refund)
    return MoneyBackReport(
        stripe_id=name_in(refund, "id"),
        kind=MoneyBack.Kind.REFUND,
        intent_id=id_in(refund, "payment_intent"),
        amount_cents=cents(refund, "amount", least=1),
        state=State.RETURNED if status in RETURNED_REFUNDS else State.GONE,
        status=status,
        return_id=_our_id(refund, "returnId"),
        reported_at=at,
    )


def of_dispute(
    dispute: Object, *, at_least: str = State.OPEN, at: datetime | None = None
) -> MoneyBackReport:
    """Read a dispute reported `at`.

    `at_least` is the earliest state that the event's type implies. It is used only if Stripe lists
    no balance transactions, and `RETURNED` only with the status `won`.
    """
    status = _status(dispute)
    return MoneyBackReport(
        stripe_id=name_in(dispute, "id"),
        kind=MoneyBack.Kind.DISPUTE,
        intent_id=id_in(dispute, "payment_intent"),
        amount_cents=cents(dispute, "amount", least=1),
        state=_state_without_movements(status, at_least),
        status=status,
        movements=_movements(dispute),
        reported_at=at,
    )


def needs_refunds(dispute: Object) -> bool:
    """Return whether refunds of the payment may explain a dispute's reinstated money."""
    moved = _movements(dispute)
    if moved is None or not moved.reinstated:
        return False
    return _status(dispute) == "lost" or moved.reinstated < moved.withdrawn


def without_unconfirmed_return(fact: MoneyBackReport) -> MoneyBackReport:
    """Return the report of a lost dispute with its full amount still withdrawn.

    The buyer keeps the amount of a lost dispute. If Stripe reinstated a part to us, the reason is a
    refund of the same payment that the buyer also received, whose own event may be missing.
    """
    if fact.status != "lost" or fact.movements is None:
        return fact
    withdrawn, reinstated = fact.movements
    confirmed = min(reinstated, max(0, withdrawn - fact.amount_cents))
    return fact._replace(movements=Movements(withdrawn, confirmed))


def further(one: str, other: str) -> str:
    """Return the later of two states, in the order of `State`."""
    order = list(State)
    return max(one, other, key=lambda state: order.index(State(state)))


def is_final(status: str | None) -> bool:
    """Return whether a dispute with this Stripe status has ended."""
    return status == "lost" or status in ENDED_DISPUTES


def name_in(found: Object, field: str) -> str:
    """Return an id, status or currency: 1 to 255 characters that PostgreSQL can store."""
    return name_of(found.get(field), field)


def name_of(value: object, field: str) -> str:
    """Validate a name (see `name_in`) and return it. Raises UnreadableObject."""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME:
        raise UnreadableObject(f"{field} is not a string of 1 to {LONGEST_NAME} characters")
    if "\0" in value or any("\ud800" <= one <= "\udfff" for one in value):
        raise UnreadableObject(f"{field} contains NUL or a lone surrogate")
    return value


def id_in(found: Object, field: str) -> str | None:
    """Return the id of a reference, which Stripe may have expanded to the object, or None."""
    reference = found.get(field)
    if isinstance(reference, Mapping):
        reference = reference.get("id")
    return None if reference is None else name_of(reference, field)


def cents(found: Object, field: str, *, least: int = 0, default: int | None = None) -> int:
    """Return an amount in cents; a null or missing one is `default`, if given."""
    value = found.get(field)
    if value is None and default is not None:
        return default
    if not _is_whole(value) or not least <= value <= LARGEST_CENTS:
        raise UnreadableObject(f"{field} is not a whole number from {least} to {LARGEST_CENTS}")
    return value


def _page_in(found: Object, field: str) -> str | None:
    """Return an https URL (or that of a local sandbox), or None for others such as javascript:."""
    value = found.get(field)
    if not isinstance(value, str) or not value.startswith(("https://", "http://localhost:")):
        return None
    return value if len(value) <= LONGEST_URL and value.isascii() and value.isprintable() else None


def _failure(error: object) -> str | None:
    """Return the code of a failed payment: the bank's, else Stripe's, or None if it has none."""
    error = error if isinstance(error, Mapping) else {}
    code = error.get("decline_code") or error.get("code")
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _status(found: Object) -> str | None:
    status = None if found.get("status") is None else name_in(found, "status")
    if status and len(status) > LONGEST_STATUS:
        raise UnreadableObject(f"status is longer than {LONGEST_STATUS} characters")
    return status


def _state_without_movements(status: str | None, at_least: str) -> str:
    if status == "lost" or (at_least == State.RETURNED and status != "won"):
        return State.GONE
    return further(at_least, State.CLOSED if status in ENDED_DISPUTES else State.OPEN)


def _movements(dispute: Object) -> Movements | None:
    listed = dispute.get("balance_transactions") or []
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
        raise UnreadableObject("balance_transactions is not a list of objects")
    distinct = {_movement_id(one, index): one for index, one in enumerate(listed)}
    amounts = [_moved(one, dispute.get("currency")) for one in distinct.values()]
    withdrawn = -sum(amount for amount in amounts if amount < 0)
    reinstated = sum(amount for amount in amounts if amount > 0)
    return Movements(max(withdrawn, reinstated), reinstated) if any(amounts) else None


def _moved(movement: Object, currency: object) -> int:
    """Return a movement in cents of the dispute's currency.

    Balance transactions are in the account's payout currency, so others are converted back.
    """
    amount, rate = movement.get("amount"), movement.get("exchange_rate")
    if not _is_whole(amount) or abs(amount) > LARGEST_CENTS:
        raise UnreadableObject("balance_transactions has an amount that is not a whole number")
    if movement.get("currency", currency) == currency or not rate:
        return amount
    if not isinstance(rate, int | float) or not 0 < rate < float("inf"):
        raise UnreadableObject("balance_transactions has an exchange_rate that is not positive")
    converted = round(min(abs(amount) / rate, LARGEST_CENTS + 1))
    if converted > LARGEST_CENTS:
        raise UnreadableObject("balance_transactions has an exchange_rate that is too small")
    return -converted if amount < 0 else converted


def _movement_id(movement: Object, index: int) -> str:
    return str(index) if movement.get("id") is None else name_in(movement, "id")


def _our_id(found: Object, name: str) -> UUID | None:
    try:
        return UUID((found.get("metadata") or {}).get(name, ""))
    except (ValueError, AttributeError, TypeError):
        return None
