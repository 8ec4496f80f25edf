"""Readers of Stripe's JSON objects: payments, refunds, disputes, receipts.

Events, API answers and lists contain the same objects, and all of them are read here. Each reader
raises UnreadableObject if a field is missing or invalid.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from credits.models import MoneyBack
from credits.payments.stripe_fields import (
    LARGEST_CENTS,
    Object,
    UnreadableObject,
    cents,
    id_in,
    is_whole,
    name_in,
    our_id,
    page_in,
    status_in,
)

State = MoneyBack.State

RETURNED_REFUNDS = {"failed", "canceled"}
ENDED_DISPUTES = {"won", "warning_closed", "prevented"}
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")


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
        payment_id(charge),
        our_id(charge, "purchaseId"),
        receipt_url=page_in(charge, "receipt_url"),
    )


def of_invoice(invoice: Object) -> Receipt:
    """Read a paid invoice; the purchase's id is in the metadata that we sent with the session."""
    return Receipt(
        None,
        our_id(invoice, "purchaseId"),
        invoice_url=page_in(invoice, "hosted_invoice_url"),
    )


def of_intent(intent: Object) -> Payment:
    """Read a payment intent; after it succeeded, the amount is the received one."""
    # A payment can be captured in part, and only what was received may be credited.
    received = cents(intent, "amount_received", default=0)
    return Payment(
        intent_id=name_in(intent, "id"),
        session_id=None,
        purchase_id=our_id(intent, "purchaseId"),
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
        intent_id=payment_id(session),
        session_id=name_in(session, "id"),
        purchase_id=our_id(session, "purchaseId"),
        amount_cents=cents(session, "amount_total", default=0),
        currency=name_in(session, "currency") if session.get("currency") else "",
        status=name_in(session, "payment_status"),
    )


def of_refund(refund: Object, *, at: datetime | None = None) -> MoneyBackReport:
    """Read a refund reported `at`. An accepted refund counts as gone until it fails."""
    status = status_in(refund)
    return MoneyBackReport(
        stripe_id=name_in(refund, "id"),
        kind=MoneyBack.Kind.REFUND,
        intent_id=payment_id(refund),
        amount_cents=cents(refund, "amount", least=1),
        state=State.RETURNED if status in RETURNED_REFUNDS else State.GONE,
        status=status,
        return_id=our_id(refund, "returnId"),
        reported_at=at,
    )


def of_dispute(
    dispute: Object, *, at_least: str = State.OPEN, at: datetime | None = None
) -> MoneyBackReport:
    """Read a dispute reported `at`.

    `at_least` is the earliest state that the event's type implies. It is used only if Stripe lists
    no balance transactions, and `RETURNED` only with the status `won`.
    """
    status = status_in(dispute)
    return MoneyBackReport(
        stripe_id=name_in(dispute, "id"),
        kind=MoneyBack.Kind.DISPUTE,
        intent_id=payment_id(dispute),
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
    return status_in(dispute) == "lost" or moved.reinstated < moved.withdrawn


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


def payment_id(found: Object) -> str | None:
    """Return the id of the payment intent that a Stripe object refers to, or None."""
    return id_in(found, "payment_intent")


def refunded_cents(charge: Object, *, default: int | None = None) -> int:
    """Return the refunded cents of a charge; `default` if Stripe names none."""
    return cents(charge, "amount_refunded", default=default)


def further(one: str, other: str) -> str:
    """Return the later of two states, in the order of `State`."""
    # The states are declared in the order in which a refund or dispute passes through them.
    order = list(State)
    return max(one, other, key=lambda state: order.index(State(state)))


def is_final(status: str | None) -> bool:
    """Return whether a dispute with this Stripe status has ended."""
    return status == "lost" or status in ENDED_DISPUTES


def _failure(error: object) -> str | None:
    """Return the code of a failed payment: the bank's, else Stripe's, or None if it has none."""
    error = error if isinstance(error, Mapping) else {}
    # The bank's code is more precise: for Stripe, all of them are `card_declined`.
    code = error.get("decline_code") or error.get("code")
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None


def _state_without_movements(status: str | None, at_least: str) -> str:
    # The buyer keeps the money of a lost dispute, so an event that names a reinstatement counts
    # only together with the status `won`.
    if status == "lost" or (at_least == State.RETURNED and status != "won"):
        return State.GONE
    return further(at_least, State.CLOSED if status in ENDED_DISPUTES else State.OPEN)


def _movements(dispute: Object) -> Movements | None:
    listed = dispute.get("balance_transactions") or []
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
        raise UnreadableObject("balance_transactions is not a list of objects")
    # By id, so that an entry that Stripe's list repeats counts once.
    distinct = {_movement_id(one, index): one for index, one in enumerate(listed)}
    amounts = [_moved(one, dispute) for one in distinct.values()]
    withdrawn = -sum(amount for amount in amounts if amount < 0)
    reinstated = sum(amount for amount in amounts if amount > 0)
    # Money can come back only after it was withdrawn. A list without that withdrawal is incomplete.
    return Movements(max(withdrawn, reinstated), reinstated) if any(amounts) else None


def _moved(movement: Object, dispute: Object) -> int:
    """Return a movement in cents of the dispute's currency.

    Balance transactions are in the account's payout currency, so others are converted back.
    """
    amount, rate = movement.get("amount"), movement.get("exchange_rate")
    if not is_whole(amount) or abs(amount) > LARGEST_CENTS:
        raise UnreadableObject("balance_transactions has an amount that is not a whole number")
    currency = dispute.get("currency")
    if movement.get("currency", currency) == currency or not rate or not amount:
        return amount
    if not isinstance(rate, int | float) or not 0 < rate < float("inf"):
        raise UnreadableObject("balance_transactions has an exchange_rate that is not positive")
    converted = _converted_back(abs(amount), rate, of=dispute.get("amount"))
    if converted > LARGEST_CENTS:
        raise UnreadableObject("balance_transactions has an exchange_rate that is too small")
    return -converted if amount < 0 else converted


def _converted_back(amount: int, rate: float, *, of: object) -> int:
    # Stripe rounded the payout amount, so dividing it may miss the disputed amount by cents.
    if is_whole(of) and 0 < of <= LARGEST_CENTS and abs(of * rate - amount) < 1:
        return of
    return round(min(amount / rate, LARGEST_CENTS + 1))


def _movement_id(movement: Object, index: int) -> str:
    # Entries without an id cannot be told apart, so each one counts.
    return str(index) if movement.get("id") is None else name_in(movement, "id")
