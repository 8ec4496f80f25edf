"""Reconciliation finds automatic top-ups whose events or answers were lost."""

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest

from credits.models import AutoTopUp, Balance, MoneyBack, Package, Purchase
from credits.payments import saved_cards
from credits.payments.findings import Finding
from credits.payments.reconciliation import Reconciliation, rehearse
from credits.payments.stripe_errors import PaymentUnavailable
from tests.api import Caller
from tests.credits.test_auto_top_up import agree, hear, work
from tests.factories import give, spend
from tests.stripe import Stripe

pytestmark = pytest.mark.django_db

charge = saved_cards.charge


def reconcile() -> list[Finding]:
    """Reconcile the last three days; assert that a dry run said the same. Return what changed."""
    now = datetime.now(UTC)
    since = now - timedelta(days=3)
    expected = rehearse(since=since, now=now)
    found = list(Reconciliation(since=since, now=now).run())
    assert found == expected
    return [one for one in found if one.outcome != "looked_at"]


def charge_without_an_answer(purchase: Purchase) -> Any:
    """Charge at Stripe and lose the answer."""
    charge(purchase)
    raise PaymentUnavailable


def charge_and_lose_the_answer() -> None:
    with patch.object(saved_cards, "charge", charge_without_an_answer), no_answer():
        assert work() == ["started", "failed"]


def state() -> tuple[str, float]:
    return Purchase.objects.get().status, float(Balance.objects.get(pk="alice").posted)


def test_a_charge_whose_event_was_lost_is_credited_once(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe)
    assert work() == ["started", "charged"]
    intent = Purchase.objects.get().stripe_payment_intent_id

    first, second = reconcile(), reconcile()
    hear(stripe)

    assert first == [Finding(f"payment {intent}", applied="pending → completed")]
    assert second == []
    assert state() == ("completed", 500)


@pytest.mark.parametrize("days", [0.5, 1.1])
def test_a_charge_whose_answer_and_event_were_lost_is_credited_once(
    alice: Caller, starter: Package, stripe: Stripe, days: float
) -> None:
    agree(alice, starter, stripe)
    with patch.object(saved_cards, "charge", charge_without_an_answer):
        assert work() == ["started", "failed"]
    assert Purchase.objects.get().stripe_payment_intent_id is None

    (found,) = reconcile()
    later = work(days=days)

    (intent,) = stripe.get("payment_intents")["data"]
    assert found == Finding(f"payment {intent['id']}", applied="pending → completed")
    assert later == []
    assert Purchase.objects.get().stripe_payment_intent_id == intent["id"]
    assert state() == ("completed", 500)


def test_a_charge_that_was_given_up_here_is_credited_once(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe)
    with patch.object(saved_cards, "charge", charge_without_an_answer):
        work()
    alice.delete("auto-top-up")
    assert work(days=1.1) == ["cancelled"]

    (found,) = reconcile()

    assert found.applied == "cancelled → completed"
    assert reconcile() == []
    assert state() == ("completed", 500)


def test_a_decline_whose_answer_and_event_were_lost_fails(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    give("alice", 5)
    agree(alice, starter, stripe, "declined-card")
    charge_and_lose_the_answer()

    (found,) = reconcile()

    assert found.applied == "pending → failed"
    assert state() == ("failed", 5)


def no_answer() -> Any:
    """Make a declined charge look like one without an answer."""
    return patch("credits.payments.saved_cards.stripe_api.changing", LostAnswer)


class LostAnswer:
    """Replaces every error of a call to Stripe by PaymentUnavailable."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, _: Any) -> None:
        if error:
            raise PaymentUnavailable from error


def test_a_refund_and_a_dispute_of_a_top_up_whose_events_were_lost_stop_it(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe)
    work()
    reconcile()
    intent = Purchase.objects.get().stripe_payment_intent_id or ""
    stripe.refund(intent, amount=200)
    dispute = stripe.post(f"disputes/{intent}")
    stripe.post(f"disputes/{dispute['id']}/lost", reinstated=200)

    found = reconcile()
    give("alice", 20)
    spend("alice", 15)

    assert found[-1].applied is not None
    assert reconcile() == []
    assert Purchase.objects.get().status == "disputed"
    assert Balance.objects.get(pk="alice").posted == 5
    assert MoneyBack.objects.count() == 2
    assert work() == ["paused"]
    assert AutoTopUp.objects.get().pause_reason == "money_back"


def test_a_lost_decline_delays_the_next_charge(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    give("alice", 20)
    agree(alice, starter, stripe, "declined-card")
    spend("alice", 15)
    charge_and_lose_the_answer()

    reconcile()
    reconcile()
    give("alice", 20)
    spend("alice", 15)

    assert work(days=0.1) == ["backed_off"]
    assert AutoTopUp.objects.get().failures == 1
    assert work(days=1.1) == ["started", "failed"]


def test_a_lost_decline_that_was_given_up_delays_the_next_charge(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    give("alice", 20)
    agree(alice, starter, stripe, "declined-card")
    spend("alice", 15)
    charge_and_lose_the_answer()
    assert work(days=1.1) == ["cancelled"]

    (found,) = reconcile()
    give("alice", 20)
    spend("alice", 15)

    assert found.applied == "cancelled → failed"
    assert reconcile() == []
    assert work(days=2) == []
    assert work(days=2.2) == ["started", "failed"]
    assert AutoTopUp.objects.get().failures == 2


def test_a_lost_demand_for_the_owner_pauses(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    give("alice", 20)
    agree(alice, starter, stripe, "owner-card")
    spend("alice", 15)
    charge_and_lose_the_answer()

    reconcile()

    assert work(days=0.1) == ["paused"]
    assert AutoTopUp.objects.get().pause_reason == "needs_owner"
    assert work(days=30) == []
    assert Purchase.objects.count() == 1
