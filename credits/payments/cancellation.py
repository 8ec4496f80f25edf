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
    """The purchase is paid, under review, or its payment is processing."""

    code = "purchase_not_cancellable"
    status = 409
    message = "This purchase cannot be cancelled"


def cancel(purchase_id: UUID, *, user_id: str, now: datetime) -> Purchase:
    """Cancel the user's unpaid purchase. A cancelled purchase stays as it is.

    Raises PurchaseUnknown, PurchaseNotCancellable, PaymentUnavailable.
    """
    purchase = purchases.find(purchase_id, user_id=user_id)
    if not purchase.opened and purchase.status == Status.PENDING:
        checkout.give_up(purchase)  # changes nothing if a concurrent request has opened it
        purchase = purchases.find(purchase_id, user_id=user_id)
    if purchase.status == Status.CANCELLED:
        return purchase
    if purchase.status not in {Status.PENDING, Status.FAILED} or purchase.under_review:
        raise PurchaseNotCancellable
    # Stripe first: only Stripe knows whether the buyer is paying at this moment.
    purchases.cancel(_cancel_at_stripe(purchase), at=now)
    left = purchases.find(purchase_id, user_id=user_id)
    if left.status != Status.CANCELLED:  # the payment was reported in the meantime
        raise PurchaseNotCancellable
    return left


def _cancel_at_stripe(purchase: Purchase) -> Payment:
    session_id = purchase.stripe_checkout_session_id
    try:
        if session_id:
            return stripe_facts.of_session(stripe_api.expire_session(session_id))
        intent = stripe_api.cancel_intent(purchase.stripe_payment_intent_id or "")
        return stripe_facts.of_intent(intent)
    except RefusedByStripe as error:
        raise PurchaseNotCancellable from error
