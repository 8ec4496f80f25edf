"""Current state: Stripe's objects, fetched for a thin event or a reconciliation, and applied.

The effect depends on the fetched object only, not on the event's type: the object may have changed
since the event, because Stripe delivers events late and in any order.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import NamedTuple

from credits.models import Purchase
from credits.payments import (
    money_back,
    purchases,
    receipts,
    stripe_api,
    stripe_facts,
    stripe_fields,
)
from credits.payments.stripe_api import Object

Step = Callable[[], Purchase | None]


class FetchedObject(NamedTuple):
    """An object of Stripe and its type; with a dispute, the refunds that explain its movements."""

    type: str
    object: Object
    refunds: tuple[Object, ...] = ()


def can_fetch(kind: str) -> bool:
    """Return whether objects of this type are applied."""
    return kind in APPLY


def dispute_to_fetch(dispute: stripe_fields.Object) -> str | None:
    """Return the id of a dispute whose movements refunds may explain, or None for any other."""
    return stripe_fields.name_in(dispute, "id") if stripe_facts.needs_refunds(dispute) else None


def fetch(kind: str, stripe_id: str) -> FetchedObject | None:
    """Fetch an object of this type from Stripe; return None if Stripe does not have it.

    For a Checkout Session with a payment intent, fetch the intent instead, because the intent's
    status decides. Raises PaymentUnavailable, RefusedByStripe.
    """
    ask = {
        "payment_intent": stripe_api.intent,
        "refund": stripe_api.refund,
        "dispute": stripe_api.dispute,
        "charge": stripe_api.charge,
        "invoice": stripe_api.invoice,
        "checkout.session": stripe_api.session,
    }[kind]
    found = ask(stripe_id)
    if found is None:
        return None
    # Only the intent says whether a delayed payment, such as a SEPA debit, has arrived.
    intent_id = stripe_facts.payment_id(found)
    if kind == "checkout.session" and intent_id:
        return fetch("payment_intent", intent_id)
    return FetchedObject(kind, found, _refunds_beside(kind, found))


def apply(fetched: FetchedObject, *, now: datetime) -> Purchase | None:
    """Apply an object and return its purchase, or None if no purchase here belongs to it."""
    # Before the dispute, because they explain the part of its money that was reinstated.
    for refund in fetched.refunds:
        _refund(refund, now)
    return APPLY[fetched.type](fetched.object, now)


def intent_step(intent: Object, *, now: datetime) -> Step | None:
    """Return the step that applies a payment intent's status, or None if it has no effect."""
    payment = stripe_facts.of_intent(intent)
    match payment.status:
        case "succeeded":
            return partial(_complete, intent, now)
        case "processing":
            return partial(purchases.process, payment, at=now)
        case "canceled":
            return partial(purchases.cancel, payment, at=now)
        # A new intent has this status too. Only an attempt that failed leaves an error.
        case "requires_payment_method" if intent.get("last_payment_error"):
            return partial(purchases.fail, payment, at=now)
    return None


def _refunds_beside(kind: str, found: Object) -> tuple[Object, ...]:
    intent_id = stripe_facts.payment_id(found)
    if kind != "dispute" or not intent_id or not stripe_facts.needs_refunds(found):
        return ()
    return tuple(stripe_api.refunds_of(intent_id))


def _complete(intent: Object, now: datetime) -> Purchase | None:
    """Complete a purchase and, if the intent's charge is expanded, record the receipt."""
    payment, charge = stripe_facts.of_intent(intent), intent.get("latest_charge")
    receipt = stripe_facts.of_charge(charge) if isinstance(charge, Mapping) else None
    purchase = purchases.complete(payment, at=now, now=now)
    if receipt:
        receipts.record(receipt)
    return purchase


def _intent(intent: Object, now: datetime) -> Purchase | None:
    step = intent_step(intent, now=now)
    return step() if step else purchases.of_payment(stripe_facts.of_intent(intent))


def _session(session: Object, now: datetime) -> Purchase | None:
    """Apply a session without a payment intent: it is either open or expired."""
    payment = stripe_facts.of_session(session)
    if session.get("status") == "expired":
        return purchases.cancel(payment, at=now)
    return purchases.of_payment(payment)


def _refund(refund: Object, now: datetime) -> Purchase | None:
    return money_back.record(stripe_facts.of_refund(refund, at=now), now=now)


def _dispute(dispute: Object, now: datetime) -> Purchase | None:
    return money_back.record(stripe_facts.of_dispute(dispute, at=now), now=now)


def _charge(charge: Object, now: datetime) -> Purchase | None:
    # Read before anything is stored, so that an unreadable charge has no effect.
    refunded = stripe_facts.refunded_cents(charge, default=0)
    receipt = stripe_facts.of_charge(charge)
    receipts.record(receipt)
    return money_back.cross_check(receipt.intent_id, refunded_cents=refunded)


def _invoice(invoice: Object, now: datetime) -> Purchase | None:
    return receipts.record(stripe_facts.of_invoice(invoice))


APPLY: Mapping[str, Callable[[Object, datetime], Purchase | None]] = {
    "payment_intent": _intent,
    "checkout.session": _session,
    "refund": _refund,
    "dispute": _dispute,
    "charge": _charge,
    "invoice": _invoice,
}
