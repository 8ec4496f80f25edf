"""Automatic top-ups: the agreement, crossings, declines, stops and the history."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest

from credits.models import (
    AutoTopUp,
    Balance,
    MoneyBack,
    OutboxMessage,
    Package,
    Purchase,
    SettingsChange,
    StripeCustomer,
)
from credits.payments import (
    packages,
    purchase_parameters,
    purchases,
    saved_cards,
    stripe_facts,
    top_up_charges,
)
from credits.payments.packages import Offer
from credits.payments.stripe_errors import PaymentUnavailable, RefusedByStripe
from gifts.models import GiftBlock
from mana_credits.privacy import erasure, export
from tests.api import Caller
from tests.factories import give, hold, spend
from tests.stripe import Stripe, deliver

pytestmark = pytest.mark.django_db


def agree(who: Caller, offer: Package, stripe: Stripe, card: str = "card", **fields: Any) -> Any:
    """Save a card and switch the top-up on."""
    setup = who.post("auto-top-up/setup", {}).json()
    stripe.post(f"setups/{setup['setupIntentId']}", card=card)
    body = {
        "packageId": str(offer.pk),
        "threshold": 10,
        "monthlyMaximum": 3,
        "setupIntentId": setup["setupIntentId"],
    }
    return who.put("auto-top-up", {**body, **fields})


def work(*, days: float = 0) -> list[str]:
    """Run the job that many days from now; return the outcomes."""
    now = datetime.now(UTC) + timedelta(days=days)
    return list(top_up_charges.top_up_due(now=now, limit=100))


def hear(stripe: Stripe) -> None:
    """Deliver all of Stripe's events."""
    for event in stripe.events():
        assert deliver(event).status_code == 200


def reason() -> str | None:
    return AutoTopUp.objects.get(pk="alice").pause_reason


def test_it_is_off_until_the_user_agrees(alice: Caller, starter: Package, stripe: Stripe) -> None:
    give("alice", 20)
    spend("alice", 15)

    answer = alice.get("auto-top-up").json()
    assert (answer["agreement"], answer["purchases"]) == (None, [])
    assert work() == []


def test_a_crossing_buys_once(alice: Caller, starter: Package, stripe: Stripe) -> None:
    give("alice", 20)
    agreed = agree(alice, starter, stripe)
    assert work() == []

    spend("alice", 10)
    spend("alice", 1)
    assert work() == ["started", "charged"]
    assert work() == []
    hear(stripe)

    assert Balance.objects.get(pk="alice").posted == 509
    assert agreed.json()["agreement"]["priceEuroCents"] == 499
    (shown,) = alice.get("auto-top-up").json()["purchases"]
    assert (shown["status"], shown["credits"], shown["priceEuroCents"]) == ("completed", 500, 499)
    (intent,) = stripe.get("payment_intents")["data"]
    assert intent["metadata"]["purchaseId"] == shown["id"]
    spend("alice", 500)
    assert work() == ["started", "charged"]


def test_an_agreement_below_the_threshold_buys_at_once(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe)

    assert work() == ["started", "charged"]


def test_a_repeated_agreement_buys_nothing_more(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agreed = agree(alice, starter, stripe, threshold=1000)
    assert work() == ["started", "charged"]
    hear(stripe)

    body = {"packageId": str(starter.pk), "threshold": 1000, "monthlyMaximum": 3}
    repeated = alice.put("auto-top-up", body)  # its first answer was lost

    assert repeated.json()["agreement"] == agreed.json()["agreement"]
    assert Balance.objects.get(pk="alice").posted == 500
    assert work() == []
    assert SettingsChange.objects.count() == 1


def test_a_repeated_agreement_tries_a_declined_card_again(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe, "declined-card")
    assert work() == ["started", "failed"]

    alice.put("auto-top-up", {"packageId": str(starter.pk), "threshold": 10, "monthlyMaximum": 3})

    assert work() == ["started", "failed"]


def test_a_hold_crosses_nothing(alice: Caller, starter: Package, stripe: Stripe) -> None:
    give("alice", 100)
    agree(alice, starter, stripe)

    hold("alice", 95)

    assert work() == []


def test_a_crossing_while_a_purchase_is_under_way_buys_nothing(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe)
    work()

    give("alice", 20)
    spend("alice", 15)

    assert work() == ["under_way"]
    assert Purchase.objects.count() == 1


def test_a_balance_that_rose_meanwhile_needs_nothing(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    give("alice", 20)
    agree(alice, starter, stripe)
    spend("alice", 15)
    give("alice", 20)

    assert work() == ["not_needed"]


def test_the_users_cap_stops_until_the_next_month(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe, monthlyMaximum=1)
    work()
    hear(stripe)
    spend("alice", 495)

    assert work() == ["capped"]
    assert work() == []
    assert work(days=31) == ["started", "charged"]


def test_a_card_that_needs_its_owner_pauses_and_tells(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe, "owner-card")

    assert work() == ["started", "failed"]
    assert work(days=10) == []

    assert reason() == "needs_owner"
    (message,) = OutboxMessage.objects.all()
    assert message.body["data"] == {"type": "top_up_paused", "reason": "needs_owner"}
    hear(stripe)
    assert Purchase.objects.get().status == "failed"
    assert len(stripe.get("payment_intents")["data"]) == 1


def test_a_declined_card_waits_a_day_then_three_then_pauses(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe, "declined-card")

    assert work() == ["started", "failed"]
    assert work(days=0.9) == []
    assert work(days=1.1) == ["started", "failed"]
    assert work(days=4) == []
    assert work(days=4.2) == ["started", "failed"]
    assert work(days=30) == []

    assert reason() == "declined"
    assert OutboxMessage.objects.count() == 1
    assert set(Purchase.objects.values_list("status", flat=True)) == {"failed"}


def test_a_new_card_resumes(alice: Caller, starter: Package, stripe: Stripe) -> None:
    agree(alice, starter, stripe, "owner-card")
    work()

    answer = agree(alice, starter, stripe)

    assert answer.json()["agreement"]["pausedAt"] is None
    assert work() == ["started", "charged"]


def test_an_unknown_outcome_is_charged_again_with_the_same_key(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe)
    with patch.object(saved_cards, "charge", side_effect=PaymentUnavailable):
        assert work() == ["started", "failed"]
    purchase = Purchase.objects.get()

    assert purchase.status == "pending"
    with patch.object(saved_cards, "charge", return_value={"id": "pi_1"}) as charge:
        assert work(days=0.1) == ["charged"]
    assert charge.call_args.args == (purchase,)


def test_a_purchase_that_was_never_charged_is_given_up_after_a_day(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe)
    with patch.object(saved_cards, "charge", side_effect=PaymentUnavailable):
        work()

    assert work(days=1.1) == ["cancelled"]


def test_a_refund_or_a_dispute_stops(alice: Caller, starter: Package, stripe: Stripe) -> None:
    agree(alice, starter, stripe)
    work()
    hear(stripe)
    stripe.post(f"disputes/{Purchase.objects.get().pk}")
    hear(stripe)

    assert MoneyBack.objects.exists()
    assert work() == ["paused"]
    assert reason() == "money_back"


def test_a_block_stops(alice: Caller, starter: Package, stripe: Stripe) -> None:
    agree(alice, starter, stripe)
    GiftBlock.objects.create(user_id="alice", by="olga", why="x", since=datetime.now(UTC))

    assert work() == ["paused"]
    assert reason() == "blocked"


def test_a_changed_price_stops(alice: Caller, starter: Package, stripe: Stripe) -> None:
    agree(alice, starter, stripe)
    dearer = Offer("Starter", Decimal(500), 599, sort_order=1)
    packages.change(starter.pk, dearer, actor="operator:o", now=datetime.now(UTC))

    assert work() == ["paused"]
    assert reason() == "offer_changed"


DEARER = Offer("Starter", Decimal(500), 599, sort_order=1)
CHANGES: dict[str, Callable[[Package, datetime], object]] = {
    "dearer": lambda offer, now: packages.change(offer.pk, DEARER, actor="operator:o", now=now),
    "gone": lambda offer, now: packages.retire(offer.pk, actor="operator:o", now=now),
}


@pytest.mark.parametrize("how", list(CHANGES))
def test_the_user_learns_of_a_changed_offer_before_the_credits_run_low(
    alice: Caller, starter: Package, stripe: Stripe, how: str
) -> None:
    give("alice", 100)
    agree(alice, starter, stripe)
    now = datetime.now(UTC)
    renamed = Offer("Beginner", Decimal(500), 499, sort_order=1)
    packages.change(starter.pk, renamed, actor="operator:o", now=now)
    assert work() == []

    CHANGES[how](starter, now)

    assert work() == ["paused"]
    assert reason() == "offer_changed"
    assert OutboxMessage.objects.get().body["data"]["reason"] == "offer_changed"


def test_an_offer_that_is_as_agreed_again_pauses_nothing(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    give("alice", 100)
    agree(alice, starter, stripe)
    packages.retire(starter.pk, actor="operator:o", now=datetime.now(UTC))
    packages.bring_back(starter.pk, actor="operator:o", now=datetime.now(UTC))

    assert work() == ["not_needed"]
    assert not OutboxMessage.objects.exists()


def test_switched_off_it_charges_nothing_that_was_started(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe)
    with patch.object(saved_cards, "charge", side_effect=PaymentUnavailable):
        work()

    answer = alice.delete("auto-top-up")

    assert answer.json()["agreement"] is None
    assert Balance.objects.get(pk="alice").has_settings is False
    assert work(days=0.1) == ["cancelled"]


def test_the_agreements_are_on_record_with_their_price(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe)
    alice.delete("auto-top-up")
    alice.delete("auto-top-up")

    on, off = SettingsChange.objects.order_by("pk")
    method = on.after.pop("paymentMethod")
    assert method.startswith("pm_")
    assert on.before == off.after == {"on": False}
    assert on.after == {
        "on": True,
        "packageId": str(starter.pk),
        "credits": "500",
        "priceEuroCents": 499,
        "expiresAfterDays": None,
        "threshold": "10",
        "monthlyMaximum": 3,
        "cardBrand": "visa",
        "cardLast4": "4242",
    }
    assert {on.subject, off.subject} == {"auto_top_up"}


def test_a_card_of_somebody_else_or_an_unfinished_one_is_refused(
    alice: Caller, bob: Caller, starter: Package, stripe: Stripe
) -> None:
    unfinished = alice.post("auto-top-up/setup", {}).json()["setupIntentId"]
    of_bob = bob.post("auto-top-up/setup", {}).json()["setupIntentId"]
    stripe.post(f"setups/{of_bob}")
    body = {"packageId": str(starter.pk), "threshold": 10, "monthlyMaximum": 3}

    for setup in (unfinished, of_bob, "seti_unknown", None):
        answer = alice.put("auto-top-up", {**body, "setupIntentId": setup})
        assert (answer.status_code, answer.json()["code"]) == (409, "card_not_saved")
    assert not AutoTopUp.objects.exists()


def test_a_package_that_is_not_offered_is_refused(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    Package.objects.update(active=False)

    answer = agree(alice, starter, stripe)

    assert (answer.status_code, answer.json()["code"]) == (404, "package_not_found")


def test_an_erasure_takes_the_agreement_and_the_card(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe)
    work()

    erasure.erase("alice")

    assert not AutoTopUp.objects.exists()
    assert not StripeCustomer.objects.exists()
    assert Purchase.objects.get().stripe_payment_method_id is None


def test_other_terms_keep_the_saved_card(alice: Caller, starter: Package, stripe: Stripe) -> None:
    agree(alice, starter, stripe)
    card = AutoTopUp.objects.get().stripe_payment_method_id

    body = {"packageId": str(starter.pk), "threshold": 20, "monthlyMaximum": 1}
    answer = alice.put("auto-top-up", body)

    assert answer.status_code == 200
    row = AutoTopUp.objects.get()
    assert (row.threshold, row.stripe_payment_method_id) == (20, card)


def test_a_card_that_stripe_no_longer_has_pauses(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe)
    give("alice", 20)
    spend("alice", 15)

    with patch.object(saved_cards, "charge", side_effect=RefusedByStripe("No such card")):
        assert work() == ["started", "failed"]

    assert AutoTopUp.objects.get().paused_at is not None


def test_the_saved_card_is_told_by_brand_and_last_digits(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    first = agree(alice, starter, stripe).json()["agreement"]
    other = agree(alice, starter, stripe, "owner-card").json()["agreement"]

    assert (first["cardBrand"], first["cardLast4"]) == ("visa", "4242")
    assert (other["cardBrand"], other["cardLast4"]) == ("visa", "3184")
    assert [change.after["cardLast4"] for change in SettingsChange.objects.order_by("pk")] == [
        "4242",
        "3184",
    ]
    text = "".join(export.document("alice", now=datetime.now(UTC)))
    (exported,) = json.loads(text)["automatic_top_ups"]
    assert (exported["card_brand"], exported["card_last4"]) == ("visa", "3184")
    erasure.erase("alice")
    assert not AutoTopUp.objects.exists()
    assert all(change.after == {} for change in SettingsChange.objects.all())


@pytest.mark.parametrize(
    ("method", "face"),
    [
        ("pm_1", (None, None)),
        ({"id": "pm_1"}, (None, None)),
        ({"id": "pm_1", "card": {"brand": "visa", "last4": "0007"}}, ("visa", "0007")),
        ({"id": "pm_1", "card": {"brand": "Visa<b>", "last4": "42420"}}, (None, None)),
        ({"id": "pm_1", "card": {"brand": None, "last4": 4242}}, (None, None)),
        ({"id": "pm_1", "card": "visa"}, (None, None)),
    ],
)
def test_an_unreadable_card_has_no_face(method: object, face: tuple[Any, Any]) -> None:
    assert saved_cards.face_of({"payment_method": method}) == face


def test_a_failure_after_the_user_switched_off_changes_nothing(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe)
    give("alice", 20)
    spend("alice", 15)

    def switched_off(purchase: Purchase) -> None:
        AutoTopUp.objects.all().delete()
        raise RefusedByStripe("No such card")

    with patch.object(saved_cards, "charge", side_effect=switched_off):
        assert work() == ["started", "failed"]

    assert not AutoTopUp.objects.exists()


def report_failure(*, days: float) -> None:
    """Let Stripe report the newest charge, which it had accepted, as failed."""
    at = datetime.now(UTC) + timedelta(days=days)
    purchase = Purchase.objects.latest("number")
    metadata = purchase_parameters.metadata_of(purchase)
    intent = {
        "id": purchase.stripe_payment_intent_id,
        "amount": purchase.price_euro_cents,
        "amount_received": 0,
        "status": "requires_payment_method",
        "currency": "eur",
        "customer": purchase.stripe_customer_id,
        "metadata": metadata,
    }
    assert purchases.fail(stripe_facts.of_intent(intent), at=at) == purchase


def test_a_charge_that_fails_after_it_was_accepted_waits_like_a_declined_one(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe)

    assert work() == ["started", "charged"]
    report_failure(days=0.5)
    assert work(days=0.6) == ["backed_off"]
    assert work(days=1.4) == []
    assert work(days=1.6) == ["started", "charged"]
    report_failure(days=2)
    assert work(days=4.9) == ["backed_off"]
    assert work(days=5.1) == ["started", "charged"]
    report_failure(days=6)
    assert work(days=6.1) == ["paused"]
    assert work(days=30) == []

    assert reason() == "declined"
    assert OutboxMessage.objects.count() == 1


def test_a_crossing_does_not_shorten_the_wait_after_a_failure(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe)
    work()
    report_failure(days=0.1)
    give("alice", 20)
    assert work(days=0.2) == ["not_needed"]

    spend("alice", 15)

    assert work(days=0.3) == ["backed_off"]
    assert work(days=1.2) == ["started", "charged"]


def test_a_paid_top_up_ends_the_series_of_failures(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe)
    work()
    report_failure(days=0)
    assert work(days=1.1) == ["started", "charged"]
    paid = Purchase.objects.latest("number").stripe_payment_intent_id
    for event in stripe.events():
        if event["data"]["object"]["id"] == paid:
            deliver(event)
    assert Balance.objects.get(pk="alice").posted == 500
    spend("alice", 495)
    assert work(days=1.2) == ["started", "charged"]

    report_failure(days=1.3)

    assert work(days=2.2) == ["backed_off"]
    assert work(days=2.4) == ["started", "charged"]


def test_a_late_failure_of_a_top_up_that_is_off_changes_nothing(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe)
    work()
    alice.delete("auto-top-up")

    report_failure(days=0.1)

    assert work(days=10) == []


def test_while_stripe_is_away_a_run_makes_one_call(
    alice: Caller, bob: Caller, starter: Package, stripe: Stripe
) -> None:
    for who in (alice, bob):
        agree(who, starter, stripe)

    with patch.object(saved_cards, "charge", side_effect=PaymentUnavailable) as charge:
        assert work() == ["started", "started", "failed"]
    assert charge.call_count == 1

    assert work() == ["charged"]  # the other one, at once
    assert work(days=0.1) == ["charged"]
