"""Automatic top-ups at their limits: the exact moment, the exact balance, and other purchases."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest

from credits.ledger.posting import Origin
from credits.models import AutoTopUp, MoneyBack, OutboxMessage, Package, Purchase, StripeCustomer
from credits.payments import auto_top_up, packages, purchases, saved_cards, top_up_charges
from credits.payments.auto_top_up import Agreement, CardNotSaved
from credits.payments.checkout import OPENED_WITHIN
from credits.payments.packages import Offer
from credits.payments.stripe_errors import CardDeclined, PaymentUnavailable
from credits.payments.stripe_facts import Payment
from tests.factories import give, package, spend

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
MONTH = datetime(2026, 12, 1, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
OWNED = {"status": "succeeded", "customer": "cus_a", "payment_method": "pm_1"}


@pytest.fixture
def offer() -> Package:
    """Return a package, and let alice be a customer of Stripe."""
    StripeCustomer.objects.create(user_id="alice", stripe_customer_id="cus_a", created_at=NOW)
    return package()


def agree(offer: Package, *, at: datetime = NOW, threshold: int = 10, **more: Any) -> AutoTopUp:
    """Agree with a card that is saved."""
    setup = more.pop("setup", OWNED)
    wanted = Agreement(offer.pk, Decimal(threshold), more.pop("maximum", 3), "seti_1")
    with patch.object(saved_cards, "setup", return_value=setup):
        return auto_top_up.agree("alice", wanted, origin=Origin("user"), now=at, **more)


def work(at: datetime = NOW, *, answer: Any = None) -> list[str]:
    """Run the job; Stripe answers with `answer`: accepted, or an error."""
    names = iter(range(99))

    def charge(purchase: Purchase) -> dict[str, str]:
        if answer:
            raise answer
        return {"id": f"pi_{purchase.number}_{next(names)}"}

    with patch.object(saved_cards, "charge", side_effect=charge):
        return list(top_up_charges.top_up_due(now=at, limit=100))


def declined(code: str = "card_declined") -> CardDeclined:
    return CardDeclined(code, "pi_declined")


def bought(**fields: Any) -> Purchase:
    """Create an automatic purchase of alice."""
    given = {
        "user_id": "alice",
        "package": Package.objects.get(),
        "credits": 500,
        "price_euro_cents": 499,
        "stripe_payment_method_id": "pm_1",
        "created_at": NOW,
    }
    return Purchase.objects.create(**{**given, **fields})


def report(purchase: Purchase, *, at: datetime) -> None:
    """Let Stripe report a failure of the purchase."""
    payment = Payment(
        purchase.stripe_payment_intent_id, None, purchase.pk, 499, "eur", "requires_payment_method"
    )
    purchases.fail(payment, at=at)


def current() -> AutoTopUp:
    return AutoTopUp.objects.get(pk="alice")


def test_an_agreement_at_the_threshold_buys_at_the_very_moment(offer: Package) -> None:
    give("alice", 10)

    agree(offer)

    assert work(NOW - SECOND) == []
    assert work(NOW) == ["started", "charged"]


def test_a_new_threshold_below_the_balance_cancels_what_was_due(offer: Package) -> None:
    give("alice", 10)
    agree(offer)

    agree(offer, threshold=9)

    assert work(NOW + DAY) == []


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_purchase_that_was_not_paid_does_not_fill_the_month(offer: Package, status: str) -> None:
    bought(status=status, created_at=NOW - DAY)
    agree(offer, maximum=1)

    assert work() == ["started", "charged"]


@pytest.mark.parametrize(("earlier", "outcome"), [(timedelta(), "capped"), (SECOND, "started")])
def test_a_month_begins_at_its_first_instant(
    offer: Package, earlier: timedelta, outcome: str
) -> None:
    one = bought(created_at=MONTH - earlier, stripe_payment_intent_id="pi_1")
    paid = Payment("pi_1", None, one.pk, 499, "eur", "succeeded")
    purchases.complete(paid, at=MONTH, now=MONTH)
    spend("alice", 495)
    agree(offer, at=MONTH, maximum=1)

    assert work(MONTH)[0] == outcome


@pytest.mark.parametrize("status", ["pending", "processing"])
def test_a_purchase_of_any_open_status_is_under_way(offer: Package, status: str) -> None:
    bought(status=status, stripe_payment_intent_id="pi_1")
    agree(offer)

    assert work() == ["under_way"]


def test_purchases_by_hand_are_not_under_way_and_do_not_count(offer: Package) -> None:
    for status in ("pending", "processing", "failed"):
        bought(status=status, stripe_payment_method_id=None, stripe_payment_intent_id=status)
    agree(offer, maximum=1)

    assert work() == ["started", "charged"]


def test_money_back_at_the_moment_of_the_agreement_stops(offer: Package) -> None:
    one = bought(status="failed", stripe_payment_intent_id="pi_1", created_at=NOW - DAY)
    MoneyBack.objects.create(
        stripe_id="re_1",
        kind="refund",
        stripe_payment_intent_id=one.stripe_payment_intent_id or "",
        amount_cents=1,
        state="open",
        created_at=NOW,
    )

    agree(offer)

    assert work() == ["paused"]
    assert current().pause_reason == "money_back"


@pytest.mark.parametrize("change", [{"active": False}, {"credits": 400}, {"price_euro_cents": 599}])
def test_any_other_offer_stops(offer: Package, change: dict[str, Any]) -> None:
    agree(offer)
    Package.objects.update(**change)

    assert work() == ["paused"]
    assert current().pause_reason == "offer_changed"


def test_a_new_agreement_is_to_the_new_offer(offer: Package) -> None:
    agree(offer)
    packages.change(
        offer.pk, Offer("Starter", Decimal(400), 599, sort_order=1), actor="operator:o", now=NOW
    )

    row = agree(offer)

    assert (row.credits, row.price_euro_cents) == (400, 599)
    assert work() == ["started", "charged"]


def test_a_charge_is_retried_up_to_the_last_moment(offer: Package) -> None:
    agree(offer)
    assert work(answer=PaymentUnavailable()) == ["started", "failed"]

    assert work(NOW + OPENED_WITHIN) == ["charged"]


def test_a_charge_that_was_given_up_is_followed_by_another_purchase_a_day_later(
    offer: Package,
) -> None:
    agree(offer)
    work(answer=PaymentUnavailable())
    late = NOW + OPENED_WITHIN + SECOND

    assert work(late) == ["cancelled"]
    assert work(late + DAY - SECOND) == []
    assert work(late + DAY) == ["started", "charged"]
    assert list(Purchase.objects.order_by("pk").values_list("status", flat=True)) == [
        "cancelled",
        "pending",
    ]


def test_a_charge_that_was_not_made_before_a_pause_is_given_up(offer: Package) -> None:
    agree(offer)
    assert work(answer=PaymentUnavailable()) == ["started", "failed"]
    AutoTopUp.objects.update(due_at=None, paused_at=NOW, pause_reason="blocked")

    assert work(NOW + DAY / 2) == ["cancelled"]


def test_a_decline_during_a_pause_tells_nobody_again(offer: Package) -> None:
    agree(offer)

    def paused_meanwhile(_: Purchase) -> None:
        AutoTopUp.objects.update(due_at=None, paused_at=NOW, pause_reason="blocked")
        raise declined("authentication_required")

    with patch.object(saved_cards, "charge", side_effect=paused_meanwhile):
        assert list(top_up_charges.top_up_due(now=NOW, limit=9)) == ["started", "failed"]

    assert current().pause_reason == "blocked"
    assert not OutboxMessage.objects.exists()


def test_a_crossing_during_a_charge_that_pauses_is_forgotten(offer: Package) -> None:
    agree(offer)

    def crossed_meanwhile(_: Purchase) -> None:
        AutoTopUp.objects.update(due_at=NOW)
        raise declined("authentication_required")

    with patch.object(saved_cards, "charge", side_effect=crossed_meanwhile):
        assert list(top_up_charges.top_up_due(now=NOW, limit=9)) == ["started", "failed"]

    assert (current().due_at, current().pause_reason) == (None, "needs_owner")


def test_a_declined_purchase_knows_its_payment(offer: Package) -> None:
    agree(offer)

    assert work(answer=declined()) == ["started", "failed"]

    assert Purchase.objects.get().stripe_payment_intent_id == "pi_declined"
    assert current().failures == 1


def test_a_wait_ends_at_its_exact_moment(offer: Package) -> None:
    agree(offer)
    work()
    report(Purchase.objects.get(), at=NOW)

    assert work(NOW + DAY - SECOND) == ["backed_off"]
    assert work(NOW + DAY) == ["started", "charged"]


def test_a_cancelled_purchase_neither_counts_as_a_failure_nor_ends_the_series(
    offer: Package,
) -> None:
    agree(offer, at=NOW - DAY * 9)
    AutoTopUp.objects.update(due_at=NOW)
    for status in ("failed", "cancelled", "failed"):
        bought(status=status, reported_at=NOW)

    assert work(NOW + DAY * 2) == ["backed_off"]
    assert current().due_at == NOW + DAY * 3


def test_the_newest_failure_decides_about_the_owner(offer: Package) -> None:
    agree(offer, at=NOW - DAY * 9)
    AutoTopUp.objects.update(due_at=NOW)
    bought(status="failed", reported_at=NOW, failure_code="card_declined")
    bought(status="failed", reported_at=NOW, failure_code="authentication_required")

    assert work() == ["paused"]
    assert current().pause_reason == "needs_owner"


def test_an_agreement_forgets_the_failures_and_the_pause(offer: Package) -> None:
    agree(offer)
    work(answer=declined("authentication_required"))

    row = agree(offer, at=NOW + SECOND)

    assert (row.failures, row.paused_at, row.pause_reason) == (0, None, None)
    assert work(NOW + SECOND) == ["started", "charged"]


@pytest.mark.parametrize("status", ["requires_payment_method", "processing", "canceled", None])
def test_an_unfinished_setup_of_the_own_customer_is_refused(
    offer: Package, status: str | None
) -> None:
    with pytest.raises(CardNotSaved):
        agree(offer, setup={**OWNED, "status": status})


def test_a_late_failure_does_not_hasten_a_later_date(offer: Package) -> None:
    agree(offer)
    work()
    AutoTopUp.objects.update(due_at=NOW + DAY * 3)

    report(Purchase.objects.get(), at=NOW)

    assert current().due_at == NOW + DAY * 3


def test_a_failure_of_a_paid_purchase_makes_nothing_due(offer: Package) -> None:
    agree(offer)
    work()
    one = Purchase.objects.get()
    paid = Payment(one.stripe_payment_intent_id, None, one.pk, 499, "eur", "succeeded")
    purchases.complete(paid, at=NOW, now=NOW)

    report(one, at=NOW + SECOND)

    assert (Purchase.objects.get().status, current().due_at) == ("completed", None)


def test_a_failure_undoes_only_a_cancellation_of_ours_and_of_a_top_up(offer: Package) -> None:
    ours = bought(status="cancelled", stripe_payment_intent_id="pi_1")
    stripes = bought(status="cancelled", stripe_payment_intent_id="pi_2", reported_at=NOW)
    by_hand = bought(
        status="cancelled", stripe_payment_intent_id="pi_3", stripe_payment_method_id=None
    )

    for one in (ours, stripes, by_hand):
        report(one, at=NOW + SECOND)
        one.refresh_from_db()

    assert [ours.status, stripes.status, by_hand.status] == ["failed", "cancelled", "cancelled"]
