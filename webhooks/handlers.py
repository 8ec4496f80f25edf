"""Handlers: the effect of each type of Stripe event on a purchase.

A handler reads the event's object and makes one domain call. Effects are keyed by the object's id,
so two events about the same object have one effect. Stripe does not guarantee the order of events:
the domain functions compare an event's timestamp, or the stage of the object, with the stored one.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from credits.models import MoneyBack, Purchase
from credits.payments import money_back, purchases, receipts, stripe_facts

State = MoneyBack.State


class EventContext(NamedTuple):
    """An event's object, the time at which Stripe created the event, and the current time."""

    object: Mapping[str, Any]
    at: datetime
    now: datetime


Handler = Callable[[EventContext], Purchase | None]


def _intent_succeeded(event: EventContext) -> Purchase | None:
    return purchases.complete(stripe_facts.of_intent(event.object), at=event.at, now=event.now)


def _intent_processing(event: EventContext) -> Purchase | None:
    return purchases.process(stripe_facts.of_intent(event.object), at=event.at)


def _intent_failed(event: EventContext) -> Purchase | None:
    return purchases.fail(stripe_facts.of_intent(event.object), at=event.at)


def _intent_canceled(event: EventContext) -> Purchase | None:
    return purchases.cancel(stripe_facts.of_intent(event.object), at=event.at)


def _session_completed(event: EventContext) -> Purchase | None:
    session = stripe_facts.of_session(event.object)
    if session.status == "unpaid":  # a SEPA debit takes days; a later event reports the payment
        return purchases.process(session, at=event.at)
    return purchases.complete(session, at=event.at, now=event.now)


def _session_failed(event: EventContext) -> Purchase | None:
    return purchases.fail(stripe_facts.of_session(event.object), at=event.at)


def _session_expired(event: EventContext) -> Purchase | None:
    return purchases.cancel(stripe_facts.of_session(event.object), at=event.at)


def _refund(event: EventContext) -> Purchase | None:
    return money_back.record(stripe_facts.of_refund(event.object, at=event.at), now=event.now)


def _charge_refunded(event: EventContext) -> Purchase | None:
    return money_back.cross_check(
        stripe_facts.payment_id(event.object),
        refunded_cents=stripe_facts.refunded_cents(event.object),
    )


def _charge(event: EventContext) -> Purchase | None:
    return receipts.record(stripe_facts.of_charge(event.object))


def _invoice(event: EventContext) -> Purchase | None:
    return receipts.record(stripe_facts.of_invoice(event.object))


def _dispute(at_least: str) -> Handler:
    def handler(event: EventContext) -> Purchase | None:
        fact = stripe_facts.of_dispute(event.object, at_least=at_least, at=event.at)
        # The event does not contain the refunds, which alone could confirm the reinstated part.
        return money_back.record(stripe_facts.without_unconfirmed_return(fact), now=event.now)

    return handler


HANDLERS: Mapping[str, Handler] = {
    # Checkout reports a payment twice, by its intent and by its session. Each of them alone
    # suffices, because Stripe may deliver either of them late or never.
    "payment_intent.succeeded": _intent_succeeded,
    "payment_intent.processing": _intent_processing,
    "payment_intent.payment_failed": _intent_failed,
    "payment_intent.canceled": _intent_canceled,
    "checkout.session.completed": _session_completed,
    "checkout.session.async_payment_succeeded": _session_completed,
    "checkout.session.async_payment_failed": _session_failed,
    "checkout.session.expired": _session_expired,
    "refund.created": _refund,
    "refund.updated": _refund,
    "refund.failed": _refund,
    "charge.succeeded": _charge,
    "charge.updated": _charge,
    "charge.refunded": _charge_refunded,
    "charge.dispute.created": _dispute(State.OPEN),
    "charge.dispute.updated": _dispute(State.OPEN),
    "charge.dispute.funds_withdrawn": _dispute(State.GONE),
    "charge.dispute.funds_reinstated": _dispute(State.RETURNED),
    # `closed` says nothing about the money: the status and the movements decide.
    "charge.dispute.closed": _dispute(State.OPEN),
    "invoice.paid": _invoice,
}
