"""Reconciliation with Stripe: find and apply what no event has reported.

All objects created at Stripe since a given time are listed, and the unfinished ones known here are
fetched. They are applied by the same functions as events, which do nothing for objects that are
already applied.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Q

from credits import due_rows
from credits.amounts import counted
from credits.errors import DomainError
from credits.models import MoneyBack, Purchase
from credits.payments import (
    checkout,
    current_state,
    money_back,
    purchases,
    refund_requests,
    stripe_api,
    stripe_facts,
)
from credits.payments.current_state import Step
from credits.payments.findings import Finding, guarded
from credits.payments.remembered_answers import RememberedAnswers
from credits.payments.stripe_errors import RefusedByStripe
from credits.payments.stripe_facts import MoneyBackReport

Status = Purchase.Status
State = MoneyBack.State
Object = dict[str, Any]

# How long after its creation a payment, refund or dispute can still change.
PAYMENT_CHANGES = timedelta(days=30)
REFUND_CHANGES = timedelta(days=35)
DISPUTE_CHANGES = timedelta(days=180)
# Longer than a request to Stripe with its retries can take.
IN_FLIGHT = timedelta(minutes=5)


class DoesNotReconcile(Exception):
    """Differences could not be explained: pairs of an object's name and a sentence.

    The message has a line for their count and for each.
    """

    def __init__(self, differences: Sequence[tuple[str, str]]) -> None:
        self.differences = differences
        lines = (f"{name}: {sentence}" for name, sentence in differences)
        super().__init__("\n".join([counted(len(differences), "unexplained difference"), *lines]))


def outcomes(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield the outcome of each finding. Raises DoesNotReconcile if any is unexplained."""
    unexplained = []
    for finding in findings:
        if finding.unexplained:
            unexplained.append((finding.name, finding.unexplained))
        yield finding.outcome
    # Raised at the end, so that one difference does not stop the run.
    if unexplained:
        raise DoesNotReconcile(unexplained)


def rehearse(*, since: datetime, now: datetime) -> list[Finding]:
    """Return what a `Reconciliation` would find, changing nothing. Raises PaymentUnavailable.

    The check runs twice. In the first run each step is rolled back at once, so that no row is
    locked during the calls to Stripe. The second run uses the remembered answers in one transaction
    and is rolled back at the end, so that later steps see the effects of earlier ones.
    """
    answers = RememberedAnswers(stripe_api)
    deque(Reconciliation(since=since, now=now, stripe=answers, undo=True).run(), maxlen=0)
    with transaction.atomic():
        findings = list(Reconciliation(since=since, now=now, stripe=answers, send=False).run())
        transaction.set_rollback(True)
    return findings


class Reconciliation:
    """One reconciliation of all objects since a given time.

    `stripe` provides Stripe's answers. With `undo` each step is rolled back. Without `send`,
    requested refunds are not sent.
    """

    def __init__(
        self,
        *,
        since: datetime,
        now: datetime,
        stripe: Any = stripe_api,
        undo: bool = False,
        send: bool = True,
    ) -> None:
        self.since = since
        self.now = now
        self._stripe = stripe
        self._undo = undo
        self._sends = send and not undo
        self._seen: set[str] = set()
        self._reinstated: list[str] = []  # payments with a dispute whose money was reinstated

    def run(self) -> Iterator[Finding]:
        """Yield a finding for every object. Raises PaymentUnavailable."""
        # Payments first: a refund or dispute takes credits only from a purchase that is credited.
        for intent in self._stripe.intents(self.since):
            yield guarded(f"payment {intent['id']}", partial(self._intent, intent))
        for refund in self._stripe.refunds(self.since):
            yield guarded(f"refund {refund['id']}", partial(self._refund, refund))
        for dispute in self._stripe.disputes(self.since):
            yield guarded(f"dispute {dispute['id']}", partial(self._dispute, dispute))
        yield from self._purchases_here()
        yield from self._money_back_here()
        # After all listed refunds, so that only the older ones are fetched one by one.
        yield from self._refunds_beside_disputes()
        # After the refunds at Stripe: one of them may be the request, sent by a process that died.
        yield from self._requested_refunds()
        yield from self._never_opened()
        yield from self._won_without_money()
        for purchase in purchases.quarantined():
            reasons = " ".join((purchase.quarantine_reason or "").splitlines())
            yield Finding(f"purchase {purchase.pk}", unexplained=reasons)

    def _intent(self, intent: Object) -> Finding:
        payment = stripe_facts.of_intent(intent)
        self._seen.add(intent["id"])
        name = f"payment {payment.intent_id}"
        purchase = purchases.of_payment(payment)
        if purchase is None:
            lost = f"belongs to the purchase {payment.purchase_id}, which does not exist here"
            return Finding(name, unexplained=lost if payment.purchase_id else None)
        # A payment that succeeded never changes its status at Stripe, so this would be a mistake
        # here.
        paid_by_it = purchase.paid and purchase.stripe_payment_intent_id == payment.intent_id
        if paid_by_it and payment.status != "succeeded":
            return Finding(name, unexplained=f"is {payment.status}, but credited here")
        return self._apply(name, purchase, current_state.intent_step(intent, now=self.now))

    def _session(self, purchase: Purchase) -> Finding:
        name = f"session {purchase.stripe_checkout_session_id}"
        session = self._stripe.session(purchase.stripe_checkout_session_id or "")
        if session is None:
            return Finding(name, unexplained=f"of the purchase {purchase.pk} is not at Stripe")
        payment = stripe_facts.of_session(session)
        if payment.intent_id:
            return self._intent_by_id(payment.intent_id)
        if session.get("status") == "expired":
            step = partial(purchases.cancel, payment, at=self.now)
            return self._apply(name, purchase, step)
        return Finding(name)

    def _intent_by_id(self, intent_id: str) -> Finding:
        intent = self._stripe.intent(intent_id)
        if intent is None:
            return Finding(f"payment {intent_id}", unexplained="is not at Stripe")
        return self._intent(intent)

    def _purchases_here(self) -> Iterator[Finding]:
        unpaid = [Status.PENDING, Status.PROCESSING, Status.FAILED]
        concerned = Purchase.objects.filter(
            Q(status__in=unpaid, created_at__gte=self.now - PAYMENT_CHANGES)
            | Q(created_at__gte=self.since)
        )
        for purchase in concerned.order_by("number").iterator():
            name = f"purchase {purchase.pk}"
            if intent_id := purchase.stripe_payment_intent_id:
                # The listed ones were applied above, with the same answer of Stripe.
                if intent_id not in self._seen:
                    yield guarded(name, partial(self._intent_by_id, intent_id))
            elif purchase.stripe_checkout_session_id:
                yield guarded(name, partial(self._session, purchase))

    def _refund(self, refund: Object) -> Finding:
        return self._money_back(stripe_facts.of_refund(refund, at=self.now))

    def _dispute(self, dispute: Object) -> Finding:
        fact = stripe_facts.of_dispute(dispute, at=self.now)
        if fact.intent_id and fact.movements and fact.movements.reinstated:
            self._reinstated.append(fact.intent_id)
        return self._money_back(fact)

    def _refunds_beside_disputes(self) -> Iterator[Finding]:
        """Apply the refunds of payments whose dispute was partly reinstated.

        A refund explains why Stripe reinstates less than the disputed amount, and it may be older
        than the time span that was listed.
        """
        for intent_id in self._reinstated:
            for refund in self._stripe.refunds_of(intent_id):
                if refund["id"] not in self._seen:
                    yield guarded(f"refund {refund['id']}", partial(self._refund, refund))

    def _won_without_money(self) -> Iterator[Finding]:
        for one in money_back.won_without_money(now=self.now):
            missing = f"{one.standing_cents} cents have not come back"
            yield Finding(f"dispute {one.stripe_id}", unexplained=f"was won, but {missing}")

    def _money_back(self, fact: MoneyBackReport) -> Finding:
        self._seen.add(fact.stripe_id)
        purchase = Purchase.objects.filter(
            stripe_payment_intent_id=fact.intent_id or fact.stripe_id
        ).first()
        step = partial(money_back.record, fact, now=self.now)
        return self._apply(f"{fact.kind} {fact.stripe_id}", purchase, step)

    def _money_back_here(self) -> Iterator[Finding]:
        kinds = (
            (MoneyBack.Kind.REFUND, REFUND_CHANGES, self._stripe.refund, self._refund),
            (MoneyBack.Kind.DISPUTE, DISPUTE_CHANGES, self._stripe.dispute, self._dispute),
        )
        for kind, changes, ask, look in kinds:
            concerned = MoneyBack.objects.filter(
                Q(created_at__gte=self.since)
                | Q(created_at__gte=self.now - changes)
                # `won` and `lost` do not end the look-ups: the money of a dispute may move days
                # later.
                & ~Q(stripe_status__in=["succeeded", "failed", "canceled", "warning_closed"]),
                kind=kind,
                stripe_id__isnull=False,
            )
            for stripe_id in concerned.values_list("stripe_id", flat=True):
                if stripe_id is not None and stripe_id not in self._seen:
                    name = f"{kind} {stripe_id}"
                    yield guarded(name, partial(_look_up, name, partial(ask, stripe_id), look))

    def _requested_refunds(self) -> Iterator[Finding]:
        # A recent request may still be being sent. One in the future has the time of a wrong clock.
        idle = Q(created_at__lt=self.now - IN_FLIGHT) | Q(created_at__gt=self.now + IN_FLIGHT)
        for asked in MoneyBack.objects.filter(idle, state=State.REQUESTED).order_by("created_at"):
            yield guarded(f"requested refund {asked.pk}", partial(self._send, asked))

    def _send(self, asked: MoneyBack) -> Finding:
        name = f"requested refund {asked.pk}"
        if not self._sends:
            return Finding(name, applied="sent")
        try:
            refund_requests.send(asked, now=self.now)
        except RefusedByStripe as refusal:
            return Finding(name, unexplained=refusal.text)
        return Finding(name, applied="sent")

    def _never_opened(self) -> Iterator[Finding]:
        for purchase in checkout.never_opened(now=self.now):
            name, step = f"purchase {purchase.pk}", partial(checkout.give_up, purchase)
            yield guarded(name, partial(self._apply, name, purchase, step))

    def _apply(self, name: str, purchase: Purchase | None, step: Step | None) -> Finding:
        if step is None:
            return Finding(name)
        # The states before and after are compared, because the steps do nothing for an object that
        # was applied before and do not report it.
        before = _state_of(purchase)
        try:
            with transaction.atomic():
                # A buyer's request may hold the row during its own call to Stripe. The next run
                # finds it again.
                due_rows.wait_at_most(due_rows.LOCK_PATIENCE)
                step()
                after = _state_of(purchase)
                transaction.set_rollback(self._undo)
        except DomainError as refusal:
            return Finding(name, unexplained=refusal.text)
        return Finding(name, applied=None if after == before else f"{before} → {after}")


def _look_up(
    name: str, ask: Callable[[], Object | None], look: Callable[[Object], Finding]
) -> Finding:
    found = ask()
    return Finding(name, unexplained="is not at Stripe") if found is None else look(found)


def _state_of(purchase: Purchase | None) -> str:
    if purchase is None:
        return ""
    purchase.refresh_from_db()
    taken = sum(one.taken for one in money_back.of_purchase(purchase))
    return f"{purchase.status}, {taken.normalize():f} taken" if taken else purchase.status
