"""Refunds and disputes: record them, and claw back or reinstate the credits.

The credits clawed back are the share of the price that refunds and disputes together have
withdrawn, minus what has expired. `settle` computes them from the rows. So the result does not
depend on the order of Stripe's reports, which can arrive late, repeatedly and out of order.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, ROUND_UP, Decimal

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet

from credits import ledger
from credits.ledger import Memo, Origin
from credits.models import MoneyBack, Purchase, Transaction
from credits.payments import claw_back_shares, stripe_facts
from credits.payments.claw_back_shares import cents_to_take, due, requested_or_standing, share
from credits.payments.stripe_facts import MoneyBackReport
from credits.postgresql import advisory_locks
from credits.postgresql.atomicity import transaction_required

State = MoneyBack.State
Status = Purchase.Status
STRIPE = Origin("stripe")
MONEY_COMES_BACK_WITHIN = timedelta(days=5)
MOVED = {State.GONE, State.RETURNED}

logger = structlog.get_logger(__name__)


# Without a savepoint: an error must undo the caller's rows too, such as the mark of the event as
# processed.
@transaction.atomic(savepoint=False)
def record(fact: MoneyBackReport, *, now: datetime) -> Purchase | None:
    """Record a refund or dispute, claw back or reinstate credits, and return the purchase, if any.

    Reports may arrive in any order, before or after the payment's own, and any number of times.
    """
    if fact.intent_id is None:
        return None
    # Lock order: payment, purchase, balance. `purchases.complete` locks in the same order.
    lock_payment(fact.intent_id)
    purchase = (
        Purchase.objects.select_for_update().filter(stripe_payment_intent_id=fact.intent_id).first()
    )
    found = _row_of(fact, fact.intent_id, now)
    found.stripe_id = fact.stripe_id
    _note_status(found, fact, now)
    _note_movements(found, fact, now)
    # Saved before `settle`, which reads all refunds and disputes of the payment again.
    found.save()
    if purchase:
        settle(purchase)
    return purchase


def cross_check(intent_id: str | None, *, refunded_cents: int) -> Purchase | None:
    """Log a warning if a charge reports more refunded money than is known; move no credits.

    The report of a missing refund may still arrive. If it does not, reconciliation finds it.
    """
    purchase = Purchase.objects.filter(stripe_payment_intent_id=intent_id or "").first()
    if purchase and (known := cents_refunded(purchase)) < refunded_cents:
        logger.warning(
            "refund_missing", purchase=str(purchase.pk), known=known, reported=refunded_cents
        )
    return purchase


@transaction_required
def settle(purchase: Purchase) -> None:
    """Update the claw-backs and the status of a locked purchase from its refunds and disputes."""
    # Nothing was credited yet. `purchases.complete` settles again after the credit.
    if not purchase.paid:
        return
    known = of_purchase(purchase)
    moved = [one for one in known if one.state in MOVED]
    standing = [one for one in moved if one.state == State.GONE]
    # Money that already returned is taken first and reinstated below. So the ledger has the same
    # entries if the report of the withdrawal arrives after that of the return, or not at all.
    _take(purchase, [one for one in moved if not one.given_back])
    for one in moved:
        if one.state == State.RETURNED and not one.given_back:
            one.given_back = True
            _give_back(purchase, one, "Credits of a purchase whose payment came back")
    # Before the last `_take`, because it also gives back credits that stay due.
    _give_back_excess(purchase, standing)
    _take(purchase, standing)
    purchase.status = _status(purchase, known)
    purchase.save(update_fields=["status"])


def of_purchase(purchase: Purchase) -> list[MoneyBack]:
    """Return the refunds and disputes of a purchase, oldest first."""
    known = MoneyBack.objects.filter(stripe_payment_intent_id=purchase.stripe_payment_intent_id)
    return list(known.order_by("created_at", "pk"))


def cents_refunded(purchase: Purchase) -> int:
    """Return the cents of the purchase that refunds sent back, including requested refunds."""
    return _cents_of_refunds(of_purchase(purchase), {State.REQUESTED, State.GONE})


def cents_left(purchase: Purchase) -> int:
    """Return the cents of the price that no refund or dispute has taken: what can be refunded."""
    known = of_purchase(purchase)
    standing = [one for one in known if one.state in {State.REQUESTED, State.GONE}]
    # At least 0: a dispute may withdraw the whole price although a part was refunded before.
    return max(purchase.price_euro_cents - sum(requested_or_standing(one) for one in standing), 0)


def yet_to_take(purchase: Purchase, cents: int) -> Decimal:
    """Return the credits to be clawed back once `cents` more and all requested refunds are done."""
    if not purchase.paid:
        return Decimal(0)
    standing = [one for one in of_purchase(purchase) if one.state in {State.REQUESTED, State.GONE}]
    gone = sum(requested_or_standing(one) for one in standing) + cents
    missing = share(purchase, gone, ROUND_DOWN) - claw_back_shares.gone(purchase, standing)
    return max(missing - claw_back_shares.about_to_expire(purchase), Decimal(0))


def won_without_money(*, now: datetime) -> QuerySet[MoneyBack]:
    """Return the disputes won at least five days ago whose money was not fully reinstated."""
    return MoneyBack.objects.filter(
        kind=MoneyBack.Kind.DISPUTE,
        state=State.GONE,
        stripe_status="won",
        stripe_status_since__lt=now - MONEY_COMES_BACK_WITHIN,
    ).order_by("stripe_status_since", "pk")


def transactions_of(purchase: Purchase) -> list[Transaction]:
    """Return a purchase's transactions, oldest first: credit, claw-backs, reinstatements."""
    causes = [cause for one in of_purchase(purchase) for cause in _causes(one)]
    own = Q(pk=purchase.transaction_id) | Q(cause__in=causes)
    back = Q(related__cause__in=causes, type=Transaction.Type.REINSTATEMENT)
    rows = Transaction.objects.filter(own | back, user_id=purchase.user_id)
    return list(rows.order_by("number"))


def lock_payment(intent_id: str) -> None:
    """Lock the payment until the transaction ends.

    This is an advisory lock, because a refund or dispute may be reported before any row refers to
    the payment.
    """
    advisory_locks.lock(advisory_locks.Kind.PAYMENT, intent_id)


def _row_of(fact: MoneyBackReport, intent_id: str, now: datetime) -> MoneyBack:
    found = MoneyBack.objects.filter(stripe_id=fact.stripe_id).first()
    # The row of an operator's request has no id of Stripe until Stripe reports the refund. The id
    # of the row comes from metadata, which can be edited at Stripe, so the payment must be the
    # same.
    if found is None and fact.return_id:
        found = MoneyBack.objects.filter(
            pk=fact.return_id, stripe_id=None, stripe_payment_intent_id=intent_id
        ).first()
    return found or MoneyBack(
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


def _note_status(found: MoneyBack, fact: MoneyBackReport, now: datetime) -> None:
    """Keep the newest status by Stripe's clock. Tie-break within a second: a final status wins."""
    at = fact.reported_at or now
    known = found.stripe_status_since
    final = stripe_facts.is_final(found.stripe_status), stripe_facts.is_final(fact.status)
    if known is None or (known, final[0]) <= (at, final[1]):
        if known is None or found.stripe_status != fact.status:
            found.stripe_status_since = at
        found.stripe_status = fact.status


def _note_movements(found: MoneyBack, fact: MoneyBackReport, now: datetime) -> None:
    """Merge a report into the known movements of money, independent of the order of reports.

    Stripe's list of a dispute's balance transactions only grows, so larger sums are newer. Once a
    movement is known, a report without movements does not change the sums.
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
        found.given_back = False  # Stripe may withdraw the money again after a reinstatement


def _state_without_movements(found: MoneyBack, fact: MoneyBackReport) -> str:
    lost = found.kind == MoneyBack.Kind.DISPUTE and found.stripe_status == "lost"
    return State.GONE if lost else stripe_facts.further(found.state, fact.state)


def _take(purchase: Purchase, standing: Iterable[MoneyBack]) -> None:
    """Claw back the credits that these refunds and disputes have not taken yet.

    The sum is the rounded-down share of all withdrawn cents (`due`), without expired credits. So
    partial refunds never take more than a full one. A single part is rounded up, up to the sum.
    """
    # Posts due expiries first. The claw-backs then post none, so `missing` stays correct.
    ledger.ensure_balance(purchase.user_id, origin=STRIPE)
    standing = sorted(standing, key=lambda one: one.taken)  # the newest takes what rounding left
    missing = due(purchase, standing) - claw_back_shares.gone(purchase, standing)
    for one in standing:
        part = min(missing, share(purchase, cents_to_take(one), ROUND_UP) - one.taken)
        if part > 0:
            _claw_back(purchase, one, part)
            missing -= part


def _claw_back(purchase: Purchase, one: MoneyBack, amount: Decimal) -> None:
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


def _give_back_excess(purchase: Purchase, standing: list[MoneyBack]) -> None:
    """Reinstate the credits of refunds and disputes that took more than their share.

    `_take` then takes their share again, because a reinstatement gives back whole claw-backs only.
    There is an excess if part of the money was reinstated, or if the remainder of the
    rounding was taken next to a refund that has failed since.
    """
    whole = due(purchase, standing)
    for one in standing:
        if sum(each.taken for each in standing) <= whole:
            return
        if one.taken > share(purchase, one.standing_cents, ROUND_DOWN):
            _give_back(purchase, one, "Credits of a purchase, recalculated")


def _give_back(purchase: Purchase, one: MoneyBack, text: str) -> None:
    # All claw-backs, also those that were reinstated before: `ledger.reinstate` posts each once.
    taken = Transaction.objects.filter(user_id=purchase.user_id, cause__in=_causes(one))
    for entry in taken.order_by("number"):
        ledger.reinstate(entry.pk, memo=_memo(purchase, one, text), origin=STRIPE)
    one.taken = Decimal(0)
    one.save(update_fields=["taken", "given_back"])


def _causes(one: MoneyBack) -> list[str]:
    # A dispute can take credits more than once. Each claw-back is a transaction with its own cause,
    # and `takes` is never reset, so that no cause is used twice.
    first = f"{one.kind}:{one.stripe_id}"
    return [first if take == 1 else f"{first}:{take}" for take in range(1, one.takes + 1)]


def _memo(purchase: Purchase, one: MoneyBack, text: str) -> Memo:
    return Memo(
        description=text,
        metadata={"purchaseId": str(purchase.pk), "kind": one.kind, "stripeId": one.stripe_id},
    )


def _cents_of_refunds(known: list[MoneyBack], states: set[State]) -> int:
    refunds = (one for one in known if one.kind == MoneyBack.Kind.REFUND)
    return sum(one.amount_cents for one in refunds if one.state in states)


def _status(purchase: Purchase, known: list[MoneyBack]) -> str:
    # An open dispute counts before its money moves, so that support sees it in time.
    disputed = {State.OPEN, State.GONE}
    if any(one.kind == MoneyBack.Kind.DISPUTE and one.state in disputed for one in known):
        return Status.DISPUTED
    cents = _cents_of_refunds(known, {State.GONE})
    if cents >= purchase.price_euro_cents:
        return Status.REFUNDED
    return Status.PARTIALLY_REFUNDED if cents else Status.COMPLETED
