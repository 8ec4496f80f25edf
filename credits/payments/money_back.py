"""Money that goes back, and the credits that follow it: claw back, reinstate.

A purchase's claw-backs are always the share of its price that stands withdrawn by refunds and
disputes together: `settle` works that out from rows, not from the order in which Stripe reported.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, ROUND_UP, Decimal

import structlog
from django.db import connection, transaction
from django.db.models import Q, QuerySet

from credits.atomicity import transaction_required
from credits.ledger import ledger
from credits.ledger.posting import Memo, Origin
from credits.models import Purchase, Return, Transaction
from credits.payments import stripe_facts
from credits.payments.stripe_facts import MoneyBack

State = Return.State
Status = Purchase.Status
STRIPE = Origin("stripe")
SMALLEST = Decimal("0.0001")
MONEY_COMES_BACK_WITHIN = timedelta(days=5)
MOVED = {State.GONE, State.RETURNED}

logger = structlog.get_logger(__name__)


@transaction.atomic(savepoint=False)
def record(fact: MoneyBack, *, now: datetime) -> Purchase | None:
    """Take note of a refund or dispute and let the credits follow; return its purchase, if any.

    May come before, between or after all other news of the payment, and any number of times.
    """
    if fact.intent_id is None:
        return None
    lock_payment(fact.intent_id)
    purchase = (
        Purchase.objects.select_for_update().filter(stripe_payment_intent_id=fact.intent_id).first()
    )
    found = _row_of(fact, fact.intent_id, now)
    found.stripe_id = fact.stripe_id
    _note_status(found, fact, now)
    _note_movements(found, fact, now)
    found.save()
    if purchase:
        settle(purchase)
    return purchase


def cross_check(intent_id: str | None, *, refunded_cents: int) -> Purchase | None:
    """Compare what a charge says was refunded with the refunds that are known; moves nothing.

    A refund that is missing here may still be on its way; reconciliation finds it if not.
    """
    purchase = Purchase.objects.filter(stripe_payment_intent_id=intent_id or "").first()
    if purchase and (known := cents_refunded(purchase)) < refunded_cents:
        logger.warning(
            "refund_missing", purchase=str(purchase.pk), known=known, reported=refunded_cents
        )
    return purchase


@transaction_required
def settle(purchase: Purchase) -> None:
    """Bring claw-backs and status of a locked purchase in line with what is known of its money."""
    if not purchase.paid:
        return
    known = of_purchase(purchase)
    moved = [one for one in known if one.state in MOVED]
    standing = [one for one in moved if one.state == State.GONE]
    _take(purchase, [one for one in moved if not one.given_back])
    for one in moved:
        if one.state == State.RETURNED and not one.given_back:
            one.given_back = True
            _give_back(purchase, one, "Credits of a purchase whose payment came back")
    _give_back_excess(purchase, standing)
    _take(purchase, standing)
    purchase.status = _status(purchase, known)
    purchase.save(update_fields=["status"])


def of_purchase(purchase: Purchase) -> list[Return]:
    """Return what is known of a purchase's refunds and disputes, oldest first."""
    known = Return.objects.filter(stripe_payment_intent_id=purchase.stripe_payment_intent_id)
    return list(known.order_by("created_at", "pk"))


def cents_refunded(purchase: Purchase) -> int:
    """Return how much of the price refunds have sent back, requested ones included."""
    return _cents_of_refunds(of_purchase(purchase), {State.REQUESTED, State.GONE})


def yet_to_take(purchase: Purchase, cents: int) -> Decimal:
    """Return the credits that leave once `cents` more and all requested refunds are confirmed."""
    if not purchase.paid:
        return Decimal(0)
    known = of_purchase(purchase)
    standing = [one for one in known if one.state in {State.REQUESTED, State.GONE}]
    gone = sum(_requested_or_standing(one) for one in standing) + cents
    return _share(purchase, gone, ROUND_DOWN) - sum(one.taken for one in standing)


def won_without_money(*, now: datetime) -> QuerySet[Return]:
    """Return the disputes that were won some days ago and whose money has not come back whole."""
    return Return.objects.filter(
        kind=Return.Kind.DISPUTE,
        state=State.GONE,
        stripe_status="won",
        stripe_status_since__lt=now - MONEY_COMES_BACK_WITHIN,
    ).order_by("stripe_status_since", "pk")


def transactions_of(purchase: Purchase) -> list[Transaction]:
    """Return what moved a purchase's credits, oldest first: credited, taken, given back."""
    causes = [cause for one in of_purchase(purchase) for cause in _causes(one)]
    own = Q(pk=purchase.transaction_id) | Q(cause__in=causes)
    back = Q(related__cause__in=causes, type=Transaction.Type.REINSTATEMENT)
    rows = Transaction.objects.filter(own | back, user_id=purchase.user_id)
    return list(rows.order_by("number"))


@transaction_required
def lock_payment(intent_id: str) -> None:
    """Let nobody else act on this payment until the transaction ends.

    News of a payment may come before anything here names it, so there is no row to lock.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [intent_id])


def _row_of(fact: MoneyBack, intent_id: str, now: datetime) -> Return:
    found = Return.objects.filter(stripe_id=fact.stripe_id).first()
    if found is None and fact.return_id:
        found = Return.objects.filter(
            pk=fact.return_id, stripe_id=None, stripe_payment_intent_id=intent_id
        ).first()
    return found or Return(
        kind=fact.kind,
        stripe_payment_intent_id=intent_id,
        amount_cents=fact.amount_cents,
        withdrawn_cents=0,
        reinstated_cents=0,
        movements_known=False,
        state=fact.state,
        created_at=now,
        taken=Decimal(0),
        takes=0,
        given_back=False,
    )


def _note_status(found: Return, fact: MoneyBack, now: datetime) -> None:
    """Keep the newest status by Stripe's clock; of one second, the final one."""
    at = fact.reported_at or now
    known = found.stripe_status_since
    final = stripe_facts.is_final(found.stripe_status), stripe_facts.is_final(fact.status)
    if known is None or (known, final[0]) <= (at, final[1]):
        if known is None or found.stripe_status != fact.status:
            found.stripe_status_since = at
        found.stripe_status = fact.status


def _note_movements(found: Return, fact: MoneyBack, now: datetime) -> None:
    """Join what is known of the money with a report; the order of reports makes no difference.

    Stripe's list of a dispute's movements only grows, so the larger sums are the newer ones. Once
    any is known, a report without movements says nothing about the money.
    """
    if fact.movements:
        known = (found.withdrawn_cents, found.reinstated_cents) if found.movements_known else (0, 0)
        found.movements_known = True
        found.withdrawn_cents = max(known[0], fact.movements.withdrawn)
        found.reinstated_cents = max(known[1], fact.movements.reinstated)
        found.state = State.GONE if found.standing_cents else State.RETURNED
    elif not found.movements_known:
        found.state = _state_without_movements(found, fact)
        found.withdrawn_cents = found.amount_cents if found.state in MOVED else 0
        found.reinstated_cents = found.amount_cents if found.state == State.RETURNED else 0
    if found.withdrawn_cents:
        found.gone_at = found.gone_at or now
    found.returned_at = (found.returned_at or now) if found.reinstated_cents else None
    if found.state == State.GONE:
        found.given_back = False  # it may have been withdrawn again


def _state_without_movements(found: Return, fact: MoneyBack) -> str:
    lost = found.kind == Return.Kind.DISPUTE and found.stripe_status == "lost"
    return State.GONE if lost else stripe_facts.further(found.state, fact.state)


def _take(purchase: Purchase, standing: Iterable[Return]) -> None:
    """Claw back what these have not taken yet: of each cent once, and never more than all."""
    standing = sorted(standing, key=lambda one: one.taken)  # what rounding left is the newest's
    missing = _due(purchase, standing) - sum(one.taken for one in standing)
    for one in standing:
        part = min(missing, _share(purchase, _cents_to_take(one), ROUND_UP) - one.taken)
        if part > 0:
            _claw_back(purchase, one, part)
            missing -= part


def _due(purchase: Purchase, standing: Iterable[Return]) -> Decimal:
    return _share(purchase, sum(_cents_to_take(one) for one in standing), ROUND_DOWN)


def _cents_to_take(one: Return) -> int:
    """Return what stands withdrawn; of money that came back whole, what had been withdrawn.

    That money is taken once before it is given back, so that the ledger says the same in every
    order of the reports. A dispute may withdraw its amount several times.
    """
    return one.standing_cents or min(one.withdrawn_cents, one.amount_cents)


def _requested_or_standing(one: Return) -> int:
    return one.amount_cents if one.state == State.REQUESTED else one.standing_cents


def _share(purchase: Purchase, cents: int, rounding: str) -> Decimal:
    price = purchase.price_euro_cents
    whole = purchase.credits * min(cents, price)
    return (whole / price).quantize(SMALLEST, rounding=rounding)


def _claw_back(purchase: Purchase, one: Return, amount: Decimal) -> None:
    one.takes += 1
    one.taken += amount
    ledger.claw_back(
        purchase.user_id,
        amount,
        memo=_memo(purchase, one, "Credits of a purchase that was paid back"),
        origin=STRIPE,
        cause=_causes(one)[-1],
    )
    one.save(update_fields=["takes", "taken"])


def _give_back_excess(purchase: Purchase, standing: list[Return]) -> None:
    """Give back what holds more than its own share, to be taken again without the excess.

    Either a part of its money came back, or it got the rounding remainder of a refund beside it
    that has failed since.
    """
    whole = _due(purchase, standing)
    for one in standing:
        if sum(each.taken for each in standing) <= whole:
            return
        if one.taken > _share(purchase, one.standing_cents, ROUND_DOWN):
            _give_back(purchase, one, "Credits of a purchase, recalculated")


def _give_back(purchase: Purchase, one: Return, text: str) -> None:
    taken = Transaction.objects.filter(user_id=purchase.user_id, cause__in=_causes(one))
    for entry in taken.order_by("number"):
        ledger.reinstate(entry.pk, memo=_memo(purchase, one, text), origin=STRIPE)
    one.taken = Decimal(0)
    one.save(update_fields=["taken", "given_back"])


def _causes(one: Return) -> list[str]:
    first = f"{one.kind}:{one.stripe_id}"
    return [first if take == 1 else f"{first}:{take}" for take in range(1, one.takes + 1)]


def _memo(purchase: Purchase, one: Return, text: str) -> Memo:
    return Memo(
        description=text,
        metadata={"purchaseId": str(purchase.pk), "kind": one.kind, "stripeId": one.stripe_id},
    )


def _cents_of_refunds(known: list[Return], states: set[State]) -> int:
    refunds = (one for one in known if one.kind == Return.Kind.REFUND)
    return sum(one.amount_cents for one in refunds if one.state in states)


def _status(purchase: Purchase, known: list[Return]) -> str:
    disputed = {State.OPEN, State.GONE}
    if any(one.kind == Return.Kind.DISPUTE and one.state in disputed for one in known):
        return Status.DISPUTED
    cents = _cents_of_refunds(known, {State.GONE})
    if cents >= purchase.price_euro_cents:
        return Status.REFUNDED
    return Status.PARTIALLY_REFUNDED if cents else Status.COMPLETED
