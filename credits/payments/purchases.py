"""Purchases as Stripe reports of them: processing, failed, cancelled, completed, quarantined.

Reports come in any order, twice or never. Unpaid, the newest report counts; paid is paid for good,
whatever is reported later, and its credits are posted once. Each function returns the purchase, or
None when the payment is none of ours.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import QuerySet

from credits.errors import DomainError
from credits.ledger import ledger
from credits.ledger.posting import Memo, Origin
from credits.models import Purchase
from credits.payments import money_back, stripe_api
from credits.payments.stripe_facts import Payment

Status = Purchase.Status
Resolution = Purchase.Resolution
# Of two reports of one second, the one further down the way.
RANKS: Mapping[str, int] = {
    Status.PENDING: 0,
    Status.PROCESSING: 1,
    Status.FAILED: 2,
    Status.CANCELLED: 3,
}

logger = structlog.get_logger(__name__)


class PurchaseUnknown(DomainError):
    """There is no such purchase, or it is somebody else's."""

    code = "purchase_not_found"
    status = 404
    message = "Purchase not found"


class NotQuarantined(DomainError):
    """Nothing about the purchase is for an operator to resolve."""

    code = "not_quarantined"
    status = 409
    message = "This purchase is not in quarantine"


class QuarantineChanged(DomainError):
    """Somebody resolved it the other way, or another payment came; it has to be looked at again."""

    code = "quarantine_changed"
    status = 409
    message = "The quarantine of this purchase has changed; look at it again"


class NotCreditable(DomainError):
    """Its credits were posted before, or no payment at Stripe stands behind it."""

    code = "not_creditable"
    status = 409
    message = "This purchase was credited before, or there is no payment to credit it for"


def of_user(user_id: str) -> QuerySet[Purchase]:
    """Return the user's purchases, newest first."""
    return Purchase.objects.filter(user_id=user_id).order_by("-number")


def find(purchase_id: UUID, *, user_id: str) -> Purchase:
    """Return the user's purchase. Raises PurchaseUnknown."""
    found = Purchase.objects.filter(pk=purchase_id, user_id=user_id).first()
    if found is None:
        raise PurchaseUnknown
    return found


@transaction.atomic(savepoint=False)
def complete(payment: Payment, *, at: datetime, now: datetime) -> Purchase | None:
    """Credit a paid purchase, once; quarantine it when the payment is not the one agreed on."""
    purchase = _locked(payment)
    if purchase is None:
        return None
    if fault := _fault(purchase, payment):
        quarantine(purchase, payment, fault, now=now)
    elif not purchase.paid:
        purchase.stripe_payment_intent_id = payment.intent_id
        _credit(purchase, origin=Origin("stripe"), at=at, now=now)
        _end_explained_quarantine(purchase, payment, now)
        money_back.settle(purchase)
    return purchase


@transaction.atomic(savepoint=False)
def process(payment: Payment, *, at: datetime) -> Purchase | None:
    """Note that the money is under way."""
    return _report(payment, Status.PROCESSING, at)


@transaction.atomic(savepoint=False)
def fail(payment: Payment, *, at: datetime) -> Purchase | None:
    """Note that an attempt to pay failed; another one may succeed."""
    return _report(payment, Status.FAILED, at)


@transaction.atomic(savepoint=False)
def cancel(payment: Payment, *, at: datetime) -> Purchase | None:
    """Note that it can no longer be paid."""
    return _report(payment, Status.CANCELLED, at)


def quarantine(purchase: Purchase, payment: Payment, reason: str, *, now: datetime) -> None:
    """Keep a locked purchase for operators to look at; a reason they know of changes nothing."""
    known = (purchase.quarantine_reason or "").splitlines()
    if reason in known:
        return
    logger.error("purchase_quarantined", purchase=str(purchase.pk), reason=reason)
    if not known or purchase.quarantine_resolution:
        purchase.quarantined_at = now
    purchase.quarantine_reason = "\n".join([*known, reason])
    purchase.quarantined_intent = payment.intent_id
    purchase.stripe_payment_intent_id = purchase.stripe_payment_intent_id or payment.intent_id
    purchase.quarantine_resolution = None
    purchase.quarantine_resolved_at = None
    purchase.quarantine_resolved_by = None
    purchase.quarantine_resolved_why = None
    purchase.save()


def quarantined() -> QuerySet[Purchase]:
    """Return what operators must look at, oldest first."""
    return Purchase.objects.filter(
        quarantined_at__isnull=False, quarantine_resolved_at__isnull=True
    ).order_by("quarantined_at")


@transaction.atomic
def resolve_quarantine(
    purchase_id: UUID, *, credit: bool, reason: str, origin: Origin, now: datetime
) -> Purchase:
    """Credit a quarantined purchase as if it had been paid as agreed, or leave it uncredited.

    Who (the actor of `origin`), when and why (`reason`) stay with it. Credited, it is of the
    payment that was reported last, and refunds of that take credits back by its price. The same
    again changes nothing; another payment that does not fit opens the quarantine anew. Raises
    PurchaseUnknown, NotQuarantined, QuarantineChanged, NotCreditable.
    """
    purchase = _locked_by_operator(purchase_id)
    wanted = Resolution.CREDITED if credit else Resolution.LEFT
    if purchase.quarantine_resolution == wanted:
        return purchase
    if purchase.quarantine_resolution:
        raise QuarantineChanged
    if credit:
        _credit_quarantined(purchase, origin, now)
    elif not purchase.paid:
        purchase.status = Status.CANCELLED
    purchase.quarantine_resolution = wanted
    purchase.quarantine_resolved_at = now
    purchase.quarantine_resolved_by = origin.actor
    purchase.quarantine_resolved_why = reason
    purchase.save()
    return purchase


def of_payment(payment: Payment) -> Purchase | None:
    """Return the purchase that a payment is for."""
    return _find(payment, Purchase.objects.all())


def _locked(payment: Payment) -> Purchase | None:
    if payment.intent_id:
        money_back.lock_payment(payment.intent_id)
    return _find(payment, Purchase.objects.select_for_update())


def _locked_by_operator(purchase_id: UUID) -> Purchase:
    seen = Purchase.objects.filter(pk=purchase_id).first()
    if seen is None:
        raise PurchaseUnknown
    if seen.quarantined_intent:
        money_back.lock_payment(seen.quarantined_intent)
    purchase = Purchase.objects.select_for_update().get(pk=purchase_id)
    if purchase.quarantined_at is None:
        raise NotQuarantined
    if purchase.quarantined_intent != seen.quarantined_intent:
        raise QuarantineChanged
    return purchase


def _credit_quarantined(purchase: Purchase, origin: Origin, now: datetime) -> None:
    if purchase.paid or purchase.quarantined_intent is None:
        raise NotCreditable
    purchase.stripe_payment_intent_id = purchase.quarantined_intent
    _credit(purchase, origin=origin._replace(key=None), at=now, now=now)
    money_back.settle(purchase)


def _end_explained_quarantine(purchase: Purchase, payment: Payment, now: datetime) -> None:
    """Resolve a quarantine whose only question the credited payment answers."""
    if purchase.quarantined_at is None or purchase.quarantine_resolution:
        return
    reasons = (purchase.quarantine_reason or "").splitlines()
    if len(reasons) == 1 and purchase.quarantined_intent in {None, payment.intent_id}:
        purchase.quarantine_resolution = Resolution.CREDITED
        purchase.quarantine_resolved_at = now
        purchase.quarantine_resolved_by = Origin("stripe").actor
        purchase.quarantine_resolved_why = f"Stripe reports the payment {payment.intent_id}."
        purchase.save()


def _find(payment: Payment, rows: QuerySet[Purchase]) -> Purchase | None:
    names: list[dict[str, Any]] = [
        {"stripe_payment_intent_id": payment.intent_id},
        {"stripe_checkout_session_id": payment.session_id},
        {"pk": payment.purchase_id},
    ]
    known = [name for name in names if None not in name.values()]
    return next((found for name in known if (found := rows.filter(**name).first())), None)


def _report(payment: Payment, status: str, at: datetime) -> Purchase | None:
    purchase = _locked(payment)
    if purchase is None or purchase.paid or not _same_payment(purchase, payment):
        return purchase
    if purchase.status == Status.CANCELLED or _is_older(purchase, status, at):
        return purchase
    purchase.status = status
    purchase.reported_at = at
    purchase.save(update_fields=["status", "reported_at"])
    return purchase


def _is_older(purchase: Purchase, status: str, at: datetime) -> bool:
    if status == Status.CANCELLED or purchase.reported_at is None:
        return False
    known = (purchase.reported_at, RANKS[purchase.status])
    return (at, RANKS[status]) <= known


def _same_payment(purchase: Purchase, payment: Payment) -> bool:
    return purchase.stripe_payment_intent_id in {None, payment.intent_id} or (
        payment.session_id is not None and payment.session_id == purchase.stripe_checkout_session_id
    )


def _fault(purchase: Purchase, payment: Payment) -> str | None:
    paid = (payment.amount_cents, payment.currency)
    if paid != (purchase.price_euro_cents, stripe_api.CURRENCY):
        return (
            f"Stripe reports {payment.amount_cents} {payment.currency} of {payment.intent_id}, "
            f"the price is {purchase.price_euro_cents} {stripe_api.CURRENCY}."
        )
    if payment.intent_id is None or not _same_payment(purchase, payment):
        expected = purchase.stripe_payment_intent_id
        return f"Paid by the payment {payment.intent_id}, where {expected} was expected."
    return None


def _credit(purchase: Purchase, *, origin: Origin, at: datetime, now: datetime) -> None:
    posting = ledger.credit_purchase(
        purchase.user_id,
        purchase.credits,
        memo=Memo(
            "stripe",
            f"Purchase of {purchase.package.name}",
            {"purchaseId": str(purchase.pk), "packageId": str(purchase.package_id)},
        ),
        origin=origin,
        purchase_id=purchase.pk,
    )
    purchase.transaction = posting.transaction
    purchase.status = Status.COMPLETED
    purchase.reported_at = at
    purchase.completed_at = now
    purchase.save()
