"""Operators' refunds: asked for, then sent to Stripe; the credits follow the money (`returns`)."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from credits.errors import DomainError
from credits.ledger import ledger
from credits.ledger.posting import Origin
from credits.models import Purchase, Return
from credits.payments import money_back, stripe_api, stripe_facts
from credits.payments.purchases import PurchaseUnknown
from credits.payments.stripe_api import RefusedByStripe

State = Return.State


class NotRefundable(DomainError):
    """There is no payment at Stripe that could be refunded."""

    code = "not_refundable"
    status = 409
    message = "This purchase was not paid"


class ExceedsPurchase(DomainError):
    """More would go back, in sum, than was paid. Details: `refundable`, in cents."""

    code = "exceeds_purchase"
    message = "More than was paid, counting what went back before"


def refund(
    purchase_id: UUID, *, cents: int | None, reason: str, origin: Origin, now: datetime
) -> Return:
    """Send `cents` of a purchase back through Stripe, or all that is left of it.

    The request commits before Stripe is called; the same key of `origin` (whose actor and `reason`
    are kept) asks for the same refund again. The credits move when Stripe confirms. Raises
    PurchaseUnknown, NotRefundable, ExceedsPurchase, IdempotencyKeyReused, PaymentUnavailable,
    RefusedByStripe.
    """
    asked = ask(purchase_id, cents=cents, reason=reason, origin=origin, now=now)
    send(asked, now=now)
    asked.refresh_from_db()
    return asked


@transaction.atomic
def ask(
    purchase_id: UUID, *, cents: int | None, reason: str, origin: Origin, now: datetime
) -> Return:
    """Commit the request of a refund, which `send` takes to Stripe; see `refund`.

    Raises PurchaseUnknown, NotRefundable, ExceedsPurchase, IdempotencyKeyReused.
    """
    found = Purchase.objects.filter(pk=purchase_id).first()
    if found is None:
        raise PurchaseUnknown
    if found.stripe_payment_intent_id is None:
        raise NotRefundable
    payment = found.stripe_payment_intent_id
    money_back.lock_payment(payment)
    purchase = Purchase.objects.select_for_update().get(pk=purchase_id)
    origin = origin.naming("refund_purchase", purchase_id, cents)
    ledger.open_balance(purchase.user_id, origin=origin)
    if known := ledger.recall(purchase.user_id, origin):
        return Return.objects.get(pk=known)
    asked = Return.objects.create(
        kind=Return.Kind.REFUND,
        stripe_payment_intent_id=payment,
        amount_cents=_refundable(purchase, cents),
        state=State.REQUESTED,
        actor=origin.actor,
        reason=reason,
        created_at=now,
    )
    ledger.remember(purchase.user_id, origin, subject_id=asked.pk)
    return asked


def send(asked: Return, *, now: datetime) -> None:
    """Ask Stripe for a requested refund, once. Raises PaymentUnavailable, RefusedByStripe.

    A refund that Stripe refused leaves nothing behind, neither its row nor its key.
    """
    refusal = None
    with transaction.atomic():
        money_back.lock_payment(asked.stripe_payment_intent_id)
        if not Return.objects.filter(pk=asked.pk, state=State.REQUESTED).exists():
            return
        try:
            answer = stripe_api.create_refund(asked)
        except RefusedByStripe as error:
            refusal = error
            _withdraw(asked)
        else:
            money_back.record(stripe_facts.of_refund(answer)._replace(return_id=asked.pk), now=now)
    if refusal:
        raise refusal


def _withdraw(asked: Return) -> None:
    purchase = Purchase.objects.get(stripe_payment_intent_id=asked.stripe_payment_intent_id)
    ledger.forget(purchase.user_id, subject_id=asked.pk)
    asked.delete()


def _refundable(purchase: Purchase, cents: int | None) -> int:
    if not purchase.paid and purchase.quarantined_at is None:
        raise NotRefundable
    left = purchase.price_euro_cents - money_back.cents_refunded(purchase)
    wanted = left if cents is None else cents
    if not 0 < wanted <= left:
        raise ExceedsPurchase(refundable=left)
    return wanted
