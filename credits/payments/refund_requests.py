"""Refunds requested by operators: recorded first, then sent to Stripe.

The credits are clawed back when Stripe confirms the refund (`money_back`).
"""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from credits import ledger
from credits.errors import DomainError
from credits.ledger import Origin, idempotency
from credits.models import MoneyBack, Purchase
from credits.payments import money_back, stripe_api, stripe_facts, stripe_fields
from credits.payments.checkout import OPENED_WITHIN
from credits.payments.purchases import PurchaseUnknown
from credits.payments.stripe_api import Object
from credits.payments.stripe_errors import RefusedByStripe

State = MoneyBack.State


class NotRefundable(DomainError):
    """The purchase has no payment at Stripe that can be refunded."""

    code = "not_refundable"
    status = 409
    message = "This purchase was not paid"


class ExceedsPurchase(DomainError):
    """The refunds would exceed the price of the purchase. Details: `refundable`, in cents."""

    code = "exceeds_purchase"
    message = "The refund exceeds what is left of the payment"


def refund(
    purchase_id: UUID, *, cents: int | None, reason: str, origin: Origin, now: datetime
) -> MoneyBack:
    """Refund `cents` of a purchase through Stripe; None refunds all that is left of the payment.

    The request commits before Stripe is called. A replay of the idempotency key in `origin` sends
    the same refund again. The actor of `origin` and the `reason` are recorded. The credits move
    when Stripe confirms. Raises PurchaseUnknown, NotRefundable, ExceedsPurchase,
    IdempotencyKeyReused, PaymentUnavailable, RefusedByStripe.
    """
    asked = ask(purchase_id, cents=cents, reason=reason, origin=origin, now=now)
    send(asked, now=now)
    asked.refresh_from_db()
    return asked


@transaction.atomic
def ask(
    purchase_id: UUID, *, cents: int | None, reason: str, origin: Origin, now: datetime
) -> MoneyBack:
    """Record the request of a refund, to be sent with `send`; see `refund`.

    Raises PurchaseUnknown, NotRefundable, ExceedsPurchase, IdempotencyKeyReused.
    """
    # Unlocked, only to find the payment: the lock order is payment, purchase, balance.
    found = Purchase.objects.filter(pk=purchase_id).first()
    if found is None:
        raise PurchaseUnknown
    if found.stripe_payment_intent_id is None:
        raise NotRefundable
    payment = found.stripe_payment_intent_id
    money_back.lock_payment(payment)
    purchase = Purchase.objects.select_for_update().get(pk=purchase_id)
    # The fingerprint names the request, because no movement is posted yet.
    origin = origin.naming("refund_purchase", purchase_id, cents)
    # Locks the balance, so that concurrent requests with the same key wait for each other.
    ledger.ensure_balance(purchase.user_id, origin=origin)
    if known := idempotency.find(purchase.user_id, origin):
        return MoneyBack.objects.get(pk=known)
    asked = MoneyBack.objects.create(
        kind=MoneyBack.Kind.REFUND,
        stripe_payment_intent_id=payment,
        amount_cents=_refundable(purchase, cents),
        state=State.REQUESTED,
        actor=origin.actor,
        reason=reason,
        created_at=now,
    )
    idempotency.record(purchase.user_id, origin, subject_id=asked.pk)
    return asked


def send(asked: MoneyBack, *, now: datetime) -> None:
    """Send a requested refund to Stripe, once. Raises PaymentUnavailable, RefusedByStripe.

    If Stripe rejects the refund, its row and its idempotency key are deleted.
    """
    refusal = None  # raised after the transaction, so that `_withdraw` is committed
    with transaction.atomic():
        # The lock lasts during the call, so that two runs do not send the same request and the
        # event that Stripe sends at once waits for its row.
        money_back.lock_payment(asked.stripe_payment_intent_id)
        if not MoneyBack.objects.filter(pk=asked.pk, state=State.REQUESTED).exists():
            return
        try:
            answer = _sent_before(asked, now) or stripe_api.create_refund(asked)
        except RefusedByStripe as error:
            refusal = error
            _withdraw(asked)
        else:
            money_back.record(stripe_facts.of_refund(answer)._replace(return_id=asked.pk), now=now)
    if refusal:
        raise refusal


def _sent_before(asked: MoneyBack, now: datetime) -> Object | None:
    """Return the refund at Stripe that an old request has created, or None."""
    # Stripe may forget the idempotency key after 24 hours, and would refund a second time.
    if timedelta(0) <= now - asked.created_at <= OPENED_WITHIN:
        return None
    refunds = stripe_api.refunds_of(asked.stripe_payment_intent_id)
    return next((one for one in refunds if stripe_fields.our_id(one, "returnId") == asked.pk), None)


def _withdraw(asked: MoneyBack) -> None:
    # Locked before its rows, as everywhere: an erasure changes them in another order.
    purchase = Purchase.objects.select_for_update().get(
        stripe_payment_intent_id=asked.stripe_payment_intent_id
    )
    # If the key stayed, a corrected request with the same key would lead to the deleted row.
    idempotency.delete(purchase.user_id, subject_id=asked.pk)
    asked.delete()


def _refundable(purchase: Purchase, cents: int | None) -> int:
    # The money of a quarantined purchase has arrived, although its credits were not posted.
    if not purchase.paid and purchase.quarantined_at is None:
        raise NotRefundable
    # Under the lock of the payment, so that two operators together cannot refund more than the
    # price.
    left = money_back.cents_left(purchase)
    wanted = left if cents is None else cents
    if not 0 < wanted <= left:
        raise ExceedsPurchase(refundable=left)
    return wanted
