"""Operators' refunds of purchases: preview, request, send again.

Stripe is called after the act has committed.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import NamedTuple
from uuid import UUID

from django.db.models import Sum, TextChoices

from credits import ledger
from credits.errors import DomainError
from credits.ledger import Origin
from credits.models import (
    ActRequest,
    Balance,
    MoneyBack,
    Purchase,
    Transaction,
)
from credits.payments import claw_back_shares, money_back, refund_requests
from credits.payments.stripe_errors import PaymentUnavailable, RefusedByStripe
from mana_credits.back_office.acts import act_requests, audit, second_person, stripe_refusals
from mana_credits.back_office.acts.act_requests import WantedAct
from mana_credits.back_office.acts.audit import AuditRecord, Justification, Operator
from mana_credits.back_office.templatetags.office import euros


class RefundReason(TextChoices):
    """The reasons for a refund."""

    ASKED = "asked", "The buyer asked for it"
    TWICE = "twice", "Bought twice"
    FAULT = "fault", "A fault of ours"
    FRAUD = "fraud", "Fraud"
    OTHER = "other", "Something else"


class RefundPlan(NamedTuple):
    """The effect of a refund: `cents` paid back, `credits` taken, pending requests included.

    `spent` is the user's spending since the purchase, `expired` what has expired of its credits.
    """

    balance: Balance
    cents: int
    credits: Decimal
    spent: Decimal
    expired: Decimal

    @property
    def available_after(self) -> Decimal:
        """Return the available credits after Stripe's confirmation; a negative number is a debt."""
        return self.balance.available - self.credits


class RefundReasonUnknown(DomainError):
    """The reason is not in the list."""

    code = "reason_unknown"
    message = "Choose a reason from the list"


class RefundNotRequested(DomainError):
    """The refund is already sent or does not exist."""

    code = "refund_not_requested"
    status = 409
    message = "This refund is already sent or does not exist"


def refundable(purchase: Purchase) -> int:
    """Return the refundable cents; 0 for an unpaid purchase."""
    if not purchase.stripe_payment_intent_id:
        return 0
    if not purchase.paid and purchase.quarantined_at is None:
        return 0
    return money_back.cents_left(purchase)


def plan_refund(purchase: Purchase, cents: int) -> RefundPlan:
    """Return the effect of `refund` without moving anything. Raises ExceedsPurchase."""
    left = refundable(purchase)
    if not 0 < cents <= left:
        raise refund_requests.ExceedsPurchase(refundable=left)
    return RefundPlan(
        ledger.balance_of(purchase.user_id),
        cents,
        money_back.yet_to_take(purchase, cents),
        spent_since(purchase),
        claw_back_shares.expired(purchase),
    )


def spent_since(purchase: Purchase) -> Decimal:
    """Return the user's net spending since the purchase was credited, 0 if more came back."""
    if purchase.transaction is None:
        return Decimal(0)
    later = Transaction.objects.filter(
        user_id=purchase.user_id, number__gt=purchase.transaction.number
    )
    spent: Decimal | None = later.aggregate(spent=Sum("spent_change"))["spent"]
    return max(spent or Decimal(0), Decimal(0))


def refund(
    operator: Operator,
    purchase: Purchase,
    cents: int,
    *,
    why: Justification,
    key: UUID,
    now: datetime,
) -> MoneyBack | ActRequest:
    """Refund `cents` of a purchase; the credits are taken when Stripe confirms.

    If Stripe cannot be reached, the refund stays requested and can be sent again. Raises
    NotPermitted, AlreadyDone, NoteRequired, RefundReasonUnknown, RefusedByStripe, and what
    `refund_requests.ask` does.
    """
    if why.reason not in RefundReason.values:
        raise RefundReasonUnknown
    why = audit.require_note(why)
    with audit.acting(
        operator, "credits.refund_purchase", why=why, user_id=purchase.user_id, key=key
    ) as act:
        # Locked before the limit is read, so that two forms sent at once cannot both use the rest
        # of it.
        second_person.lock(operator)
        # Includes credits that a dispute has already taken: the limit is about the money refunded.
        worth = _credits_of(purchase, cents)
        if worth > second_person.left_alone(operator, purchase.user_id, now=now):
            # Raises ExceedsPurchase now, not only when the colleague approves.
            plan_refund(purchase, cents)
            wanted = _refund(purchase, cents, why)
            return act_requests.ask(operator, wanted, act, why=why, now=now)
        origin = operator.origin(at=now, key=key)
        asked = _ask(purchase, cents, why, act, origin=origin, now=now)
        act.moved = worth
    # After the commit: the request must be known if this process dies during the call to Stripe.
    return _send(operator, asked, purchase, why, now)


def refund_approved(
    operator: Operator, asked: ActRequest, act: AuditRecord, now: datetime
) -> Callable[[], MoneyBack]:
    """Request an approved refund; return what sends it to Stripe. Raises ExceedsPurchase."""
    purchase = Purchase.objects.get(pk=asked.arguments["purchase_id"])
    why = Justification(asked.reason, asked.note, asked.ticket)
    cents: int = asked.arguments["cents"]
    origin = operator.origin(at=now, key=asked.pk)
    requested = _ask(purchase, cents, why, act, origin=origin, now=now)
    return partial(_send, operator, requested, purchase, why, now)


def _credits_of(purchase: Purchase, cents: int) -> Decimal:
    """Return the credits that `cents` of the price bought, regardless of claw-backs."""
    return (purchase.credits * cents / purchase.price_euro_cents).quantize(Decimal("0.0001"))


def _refund(purchase: Purchase, cents: int, why: Justification) -> WantedAct:
    return WantedAct(
        act_requests.Kind.REFUND,
        f"purchase:{purchase.pk}",
        {"purchase_id": str(purchase.pk), "cents": cents},
        f"Refund {euros(cents)} of purchase {purchase.number} ({why.reason})",
        purchase.user_id,
    )


def _ask(
    purchase: Purchase,
    cents: int,
    why: Justification,
    act: AuditRecord,
    *,
    origin: Origin,
    now: datetime,
) -> MoneyBack:
    act.subject = f"purchase:{purchase.pk}"
    act.before = {"status": purchase.status}
    act.after = {"requested_cents": cents}
    reason = str(RefundReason(why.reason).label)
    return refund_requests.ask(purchase.pk, cents=cents, reason=reason, origin=origin, now=now)


def send_refund(operator: Operator, return_id: UUID, *, key: UUID, now: datetime) -> MoneyBack:
    """Send a requested refund to Stripe again.

    Raises NotPermitted, AlreadyDone, RefundNotRequested, RefusedByStripe.
    """
    why = Justification(reason="sent_again")
    with audit.acting(operator, "credits.refund_purchase", why=why, key=key) as act:
        asked = MoneyBack.objects.filter(pk=return_id, state=MoneyBack.State.REQUESTED).first()
        if asked is None:
            raise RefundNotRequested
        payment = asked.stripe_payment_intent_id
        purchase = Purchase.objects.get(stripe_payment_intent_id=payment)
        act.user_id = purchase.user_id
        act.subject = f"purchase:{purchase.pk}"
        act.after = {"sent_again_cents": asked.amount_cents}
    return _send(operator, asked, purchase, why, now)


def _send(
    operator: Operator, asked: MoneyBack, purchase: Purchase, why: Justification, now: datetime
) -> MoneyBack:
    try:
        refund_requests.send(asked, now=now)
    # The row stays requested. An operator or the next reconciliation sends it.
    except PaymentUnavailable:
        return asked
    except RefusedByStripe as refusal:
        text = stripe_refusals.explained(refusal)
        act = audit.AuditRecord(
            user_id=purchase.user_id,
            subject=f"purchase:{purchase.pk}",
            after={"refused_by_stripe": text, "cents": asked.amount_cents},
        )
        # A record of its own: the act's one was committed before Stripe answered.
        audit.record(operator, "credits.refund_purchase", act, why=why)
        raise RefusedByStripe(text, refusal.reason) from refusal
    asked.refresh_from_db()
    return asked
