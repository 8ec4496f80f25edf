"""Purchases: apply Stripe's reports (processing, failed, cancelled, completed), and quarantine.

Reports can arrive in any order, repeatedly or never. The newest report sets the status of an unpaid
purchase. A paid purchase stays paid, and its credits are posted once. Each function that applies a
report returns the purchase, or None if the payment belongs to no purchase here.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import QuerySet

from credits import ledger
from credits.errors import DomainError
from credits.ledger import Memo, Origin
from credits.models import AutoTopUp, Purchase
from credits.payments import money_back
from credits.payments.payment_matches import fault_of, find_match, is_own_payment
from credits.payments.stripe_facts import Payment

Status = Purchase.Status
Resolution = Purchase.Resolution
# Tie-break for reports with the same timestamp (Stripe's are whole seconds): the later stage wins.
RANKS: Mapping[str, int] = {
    Status.PENDING: 0,
    Status.PROCESSING: 1,
    Status.FAILED: 2,
    Status.CANCELLED: 3,
}

logger = structlog.get_logger(__name__)


class PurchaseUnknown(DomainError):
    """The purchase is unknown or belongs to another user."""

    code = "purchase_not_found"
    status = 404
    message = "Purchase not found"


class NotQuarantined(DomainError):
    """The purchase is not in quarantine."""

    code = "not_quarantined"
    status = 409
    message = "This purchase is not in quarantine"


class QuarantineChanged(DomainError):
    """The quarantine was resolved otherwise, or another payment arrived; review it again."""

    code = "quarantine_changed"
    status = 409
    message = "The quarantine of this purchase has changed; review it again"


class NotCreditable(DomainError):
    """Already credited, or no Stripe payment exists."""

    code = "not_creditable"
    status = 409
    message = "This purchase is already credited, or no Stripe payment exists for it"


def of_user(user_id: str) -> QuerySet[Purchase]:
    """Return the user's purchases, newest first."""
    return _with_package().filter(user_id=user_id).order_by("-number")


def find(purchase_id: UUID, *, user_id: str) -> Purchase:
    """Return the user's purchase. Raises PurchaseUnknown."""
    found = _with_package().filter(pk=purchase_id, user_id=user_id).first()
    if found is None:
        raise PurchaseUnknown
    return found


# Without savepoints, here and below: an error must undo the caller's rows too, such as the mark of
# the event as processed.
@transaction.atomic(savepoint=False)
def complete(payment: Payment, *, at: datetime, now: datetime) -> Purchase | None:
    """Credit a paid purchase once, or quarantine it if the payment does not match it.

    `at` is the time of the report by Stripe's clock. Then apply the refunds and disputes that were
    reported before the payment.
    """
    purchase = _locked(payment)
    if purchase is None:
        return None
    if fault := fault_of(purchase, payment):
        quarantine(purchase, payment, fault, now=now)
    elif not purchase.paid:
        purchase.stripe_payment_intent_id = payment.intent_id
        _credit(purchase, origin=Origin("stripe"), at=at, now=now)
        # An imported purchase waits in quarantine until Stripe reports its payment.
        _end_explained_quarantine(purchase, payment, now)
        money_back.settle(purchase)
    return purchase


@transaction.atomic(savepoint=False)
def process(payment: Payment, *, at: datetime) -> Purchase | None:
    """Set the status to processing: the payment was submitted and is not confirmed yet."""
    return _report(payment, Status.PROCESSING, at)


@transaction.atomic(savepoint=False)
def fail(payment: Payment, *, at: datetime) -> Purchase | None:
    """Set the status to failed; a later attempt to pay may still succeed.

    An automatic top-up is due again; its charges decide how long it waits.
    """
    purchase = _report(payment, Status.FAILED, at)
    if purchase and purchase.status == Status.FAILED and purchase.stripe_payment_method_id:
        # Lock order: the purchase, then the agreement, as when a charge is declined at once.
        # A paused agreement stays paused, and a time that a charge has set is not replaced.
        agreement = AutoTopUp.objects.filter(pk=purchase.user_id, due_at=None, paused_at=None)
        agreement.update(due_at=at)
    return purchase


@transaction.atomic(savepoint=False)
def cancel(payment: Payment, *, at: datetime) -> Purchase | None:
    """Set the status to cancelled: the purchase can no longer be paid."""
    return _report(payment, Status.CANCELLED, at)


def quarantine(purchase: Purchase, payment: Payment, reason: str, *, now: datetime) -> None:
    """Quarantine a locked purchase for review by an operator; a known reason changes nothing."""
    known = (purchase.quarantine_reason or "").splitlines()
    if reason in known:
        return
    logger.error("purchase_quarantined", purchase=str(purchase.pk), reason=reason)
    if not known or purchase.quarantine_resolution:
        purchase.quarantined_at = now
    purchase.quarantine_reason = "\n".join([*known, reason])
    purchase.quarantined_intent = payment.intent_id
    # An operator can refund the payment only if the purchase refers to it.
    purchase.stripe_payment_intent_id = purchase.stripe_payment_intent_id or payment.intent_id
    purchase.quarantine_resolution = None
    purchase.quarantine_resolved_at = None
    purchase.quarantine_resolved_by = None
    purchase.quarantine_resolved_why = None
    purchase.save()


def quarantined() -> QuerySet[Purchase]:
    """Return the quarantined purchases that no operator has resolved, oldest first."""
    return Purchase.objects.filter(
        quarantined_at__isnull=False, quarantine_resolved_at__isnull=True
    ).order_by("quarantined_at")


@transaction.atomic
def resolve_quarantine(
    purchase_id: UUID, *, credit: bool, reason: str, origin: Origin, now: datetime
) -> Purchase:
    """Credit a quarantined purchase in full, or leave it uncredited.

    The actor of `origin`, the time and the `reason` are recorded. A credited purchase belongs to
    the payment reported last; refunds of that payment claw back credits in proportion to the
    purchase's price. Repeating the same resolution changes nothing. Another payment that does not
    match opens the quarantine again. Raises PurchaseUnknown, NotQuarantined, QuarantineChanged,
    NotCreditable.
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
    """Return the purchase that a payment belongs to, or None."""
    return find_match(payment, Purchase.objects.all())


def _with_package() -> QuerySet[Purchase]:
    return Purchase.objects.select_related("package")


def _locked(payment: Payment) -> Purchase | None:
    if payment.intent_id:
        money_back.lock_payment(payment.intent_id)
    return find_match(payment, Purchase.objects.select_for_update())


def _locked_by_operator(purchase_id: UUID) -> Purchase:
    # The payment is locked before the row, in the order of all reports. The unlocked read only
    # finds the payment; the check below detects that another payment arrived in between.
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
    if not purchase.creditable:
        raise NotCreditable
    purchase.stripe_payment_intent_id = purchase.quarantined_intent
    # The cause keeps the credit unique. The key belongs to the operator's request, not to it.
    _credit(purchase, origin=origin._replace(key=None), at=now, now=now)
    money_back.settle(purchase)


def _end_explained_quarantine(purchase: Purchase, payment: Payment, now: datetime) -> None:
    """Resolve a quarantine whose only reason concerned the payment that was now credited."""
    if purchase.quarantined_at is None or purchase.quarantine_resolution:
        return
    reasons = (purchase.quarantine_reason or "").splitlines()
    if len(reasons) == 1 and purchase.quarantined_intent in {None, payment.intent_id}:
        purchase.quarantine_resolution = Resolution.CREDITED
        purchase.quarantine_resolved_at = now
        purchase.quarantine_resolved_by = Origin("stripe").actor
        purchase.quarantine_resolved_why = f"Stripe reports the payment {payment.intent_id}."
        purchase.save()


def _report(payment: Payment, status: str, at: datetime) -> Purchase | None:
    purchase = _locked(payment)
    # Reports of another payment are ignored here. If it succeeds, `complete` quarantines it.
    if purchase is None or purchase.paid or not is_own_payment(purchase, payment):
        return purchase
    if _is_final(purchase, status) or _is_older(purchase, status, at):
        return purchase
    purchase.status = status
    purchase.reported_at = at
    # Stripe reports a failure twice. Only the intent's report has a code, so keep a known one.
    purchase.failure_code = payment.failure or purchase.failure_code
    if status != Status.FAILED:
        purchase.failure_code = None
    purchase.save(update_fields=["status", "reported_at", "failure_code"])
    return purchase


def _is_final(purchase: Purchase, status: str) -> bool:
    # An automatic charge whose answer was lost is given up here without Stripe's word. Its failure
    # must count, or the next crossing would charge the same card at once.
    given_up = purchase.stripe_payment_method_id and purchase.reported_at is None
    return purchase.status == Status.CANCELLED and not (given_up and status == Status.FAILED)


def _is_older(purchase: Purchase, status: str, at: datetime) -> bool:
    # A cancellation is final at Stripe, so it applies even if a newer report came first.
    if status == Status.CANCELLED or purchase.reported_at is None:
        return False
    known = (purchase.reported_at, RANKS[purchase.status])
    return (at, RANKS[status]) <= known


def _credit(purchase: Purchase, *, origin: Origin, at: datetime, now: datetime) -> None:
    german = purchase.package.name_de
    days = purchase.expires_after_days
    posting = ledger.credit_purchase(
        purchase.user_id,
        purchase.credits,
        memo=Memo(
            "stripe",
            f"Purchase of {purchase.package.name}",
            {"purchaseId": str(purchase.pk), "packageId": str(purchase.package_id)}
            | ({"packageNameDe": german} if german else {}),
        ),
        origin=origin,
        purchase_id=purchase.pk,
        expires_at=now + timedelta(days) if days else None,
    )
    purchase.transaction = posting.transaction
    purchase.status = Status.COMPLETED
    purchase.failure_code = None
    purchase.reported_at = at
    purchase.completed_at = now
    purchase.save()
