"""Limits and automatic top-ups in cases that are rare: odd names, lowered limits, month's turn."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest

from credits.controls import account_settings
from credits.ledger import ledger, reservations
from credits.ledger.outcomes import SpendingLimitReached
from credits.ledger.posting import Memo, Origin
from credits.models import AutoTopUp, Balance, Package, Purchase, Reservation
from credits.payments import saved_cards
from credits.payments.stripe_errors import PaymentUnavailable
from gifts.models import GiftBlock
from mana_credits.privacy import erasure
from tests.api import Caller, use
from tests.credits.test_auto_top_up import agree, hear, work
from tests.factories import SYSTEM, give, hold, spend, wish
from tests.stripe import Stripe

pytestmark = pytest.mark.django_db

ODD = [
    "Ünïcode 🐘",
    'a"b\\c',
    "all",
    "null",
    "__proto__",
    "a.b/c d",
    "%s",
    "{0}",
    "'; --",
    "x" * 50,
]
DECEMBER = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
JANUARY = DECEMBER + timedelta(seconds=1)


@pytest.mark.parametrize("app", ODD)
def test_an_app_with_an_odd_name_has_its_own_limit(
    alice: Caller, service: Caller, app: str
) -> None:
    give("alice", 100)
    limits = [{"appId": app, "monthlyLimit": 5}]
    assert alice.put("settings", {"appLimits": limits}).status_code == 200

    spent = service.post("use", use(5, userId="alice", appId=app))
    refused = service.post("use", use(1, userId="alice", appId=app))
    other = service.post("use", use(1, userId="alice", appId=f"{app[:-1]}~"))

    assert (spent.status_code, other.status_code) == (200, 200)
    assert (refused.status_code, refused.json()["details"]["app"]) == (402, app)
    assert alice.get("settings").json()["appLimits"] == [{**limits[0], "spent": 5}]


def test_a_limit_without_an_app_is_refused(alice: Caller) -> None:
    for app in ("", " ", None):
        answer = alice.put("settings", {"appLimits": [{"appId": app, "monthlyLimit": 5}]})
        assert answer.status_code == 400
    assert alice.get("settings").json()["monthlyLimit"] is None


def test_a_limit_below_what_is_spent_stops_until_the_next_month() -> None:
    give("alice", 100)
    wish("alice", monthly_limit=50)
    ledger.spend("alice", Decimal(30), memo=Memo("chat"), origin=Origin("user", at=DECEMBER))
    wish("alice", monthly_limit=10, app_limits={"chat": 20})

    with pytest.raises(SpendingLimitReached) as caught:
        ledger.spend("alice", Decimal(1), memo=Memo("chat"), origin=Origin("user", at=DECEMBER))
    ledger.spend("alice", Decimal(10), memo=Memo("chat"), origin=Origin("user", at=JANUARY))

    assert caught.value.details == {"limit": 10, "spent": 30, "app": None}
    seen = account_settings.of_user("alice", now=JANUARY)
    assert (seen.spent, seen.app_limits[0].spent) == (10, 10)


def test_a_hold_over_the_turn_of_the_month_counts_once() -> None:
    give("alice", 100)
    wish("alice", monthly_limit=10)
    held = reservations.reserve(
        "alice", Decimal(8), reason="chat", origin=Origin("service", at=DECEMBER)
    ).reservation.pk

    in_december = account_settings.of_user("alice", now=DECEMBER).spent
    reservations.commit(held, origin=Origin("service", at=JANUARY), amount=Decimal(6))

    assert in_december == 8
    assert account_settings.of_user("alice", now=DECEMBER).spent == 0
    assert account_settings.of_user("alice", now=JANUARY).spent == 6
    with pytest.raises(SpendingLimitReached):
        ledger.spend("alice", Decimal(5), memo=Memo("chat"), origin=Origin("user", at=JANUARY))


def test_a_limit_lowered_below_the_holds_lets_them_be_committed() -> None:
    give("alice", 100)
    wish("alice", monthly_limit=50)
    held = hold("alice", 40)

    wish("alice", monthly_limit=1)
    reservations.commit(held.pk, origin=SYSTEM)

    assert Reservation.objects.get().status == "committed"
    with pytest.raises(SpendingLimitReached):
        spend("alice", 0.0001)


def test_a_withdrawn_package_stops_and_another_one_resumes(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe)
    Package.objects.update(active=False)

    assert work() == ["paused"]
    again = alice.put(
        "auto-top-up", {"packageId": str(starter.pk), "threshold": 10, "monthlyMaximum": 3}
    )
    Package.objects.update(active=True)
    resumed = alice.put(
        "auto-top-up", {"packageId": str(starter.pk), "threshold": 10, "monthlyMaximum": 3}
    )

    assert (again.status_code, again.json()["code"]) == (404, "package_not_found")
    assert resumed.json()["agreement"]["pauseReason"] is None
    assert work() == ["started", "charged"]


def test_a_blocked_user_who_agrees_again_is_paused_again(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe)
    block = GiftBlock.objects.create(user_id="alice", by="olga", why="x", since=datetime.now(UTC))
    assert work() == ["paused"]

    agree(alice, starter, stripe)
    assert work() == ["paused"]
    block.delete()
    agree(alice, starter, stripe)

    assert work() == ["started", "charged"]


def test_a_raised_maximum_buys_at_once_within_a_full_month(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe, monthlyMaximum=1)
    work()
    hear(stripe)
    spend("alice", 495)
    assert work() == ["capped"]

    alice.put("auto-top-up", {"packageId": str(starter.pk), "threshold": 10, "monthlyMaximum": 2})

    assert work() == ["started", "charged"]
    assert Purchase.objects.count() == 2


def test_nothing_is_charged_for_an_erased_user(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe)
    with patch.object(saved_cards, "charge", side_effect=PaymentUnavailable):
        assert work() == ["started", "failed"]

    erasure.erase("alice")

    def charged(purchase: Purchase) -> Any:
        raise AssertionError(f"charged {purchase.pk}")

    with patch.object(saved_cards, "charge", side_effect=charged):
        assert work(days=0.1) == []
        assert work(days=2) == []
    assert not AutoTopUp.objects.exists()
    assert Purchase.objects.get().status == "cancelled"
    assert not Balance.objects.filter(pk="alice").exists()
