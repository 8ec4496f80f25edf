"""Cancellation of an unpaid purchase by its buyer, at Stripe first and then here."""

from datetime import datetime
from uuid import UUID

from credits.errors import DomainError
from credits.models import Purchase
from credits.payments import checkout, purchases, stripe_api, stripe_facts
from credits.payments.stripe_errors import RefusedByStripe
from credits.payments.stripe_facts import Payment

Status = Purchase.Status


class PurchaseNotCancellable(DomainError):
    """The purchase is paid, automatic, under review, or its payment is processing."""

    code = "purchase_not_cancellable"
    status = 409
    message = "This purchase cannot be cancelled"


def cancel(purchase_id: UUID, *, user_id: str, now: datetime) -> Purchase:
    """Cancel the user's unpaid purchase. A cancelled purchase stays as it is.

    Raises PurchaseUnknown, PurchaseNotCancellable, PaymentUnavailable.
    """
    purchase = purchases.find(purchase_id, user_id=user_id)
    if purchase.cancellable and not purchase.opened and purchase.status == Status.PENDING:
        checkout.give_up(purchase)  # changes nothing if a concurrent request has opened it
        purchase = purchases.find(purchase_id, user_id=user_id)
    if purchase.status == Status.CANCELLED:
        return purchase
    if not purchase.cancellable:
        raise PurchaseNotCancellable
    # Stripe first: only Stripe knows whether the buyer is paying at this moment.
    purchases.cancel(_cancel_at_stripe(purchase), at=now)
    left = purchases.find(purchase_id, user_id=user_id)
    if left.status != Status.CANCELLED:  # the payment was reported in the meantime
        raise PurchaseNotCancellable
    return left


def _cancel_at_stripe(purchase: Purchase) -> Payment:
    """Cancel the payment, or find that it ended before. Raises PurchaseNotCancellable."""
    session_id = purchase.stripe_checkout_session_id
    intent_id = purchase.stripe_payment_intent_id or ""
    try:
        if session_id:
            # A purchase at Checkout is cancelled by its session: while the session is open, the
            # buyer could still start a payment in it.
            return stripe_facts.of_session(stripe_api.expire_session(session_id))
        return stripe_facts.of_intent(stripe_api.cancel_intent(intent_id))
    except RefusedByStripe as error:
        # The report that it ended may be late or lost.
        session = stripe_api.session(session_id) if session_id else None
        if session and session["status"] == "expired":
            return stripe_facts.of_session(session)
        intent = None if session_id else stripe_api.intent(intent_id)
        if intent and intent["status"] == "canceled":
            return stripe_facts.of_intent(intent)
        raise PurchaseNotCancellable from error
