"""Every way down crosses the thresholds of the notice and of the automatic top-up, once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from unittest.mock import patch

import pytest

from credits.controls import account_settings, low_balance
from credits.controls.account_settings import NewSettings
from credits.ledger import credit_expiry, ledger, reservations, spend_batches
from credits.ledger.posting import Memo, Origin
from credits.ledger.spend_batches import Spend
from credits.models import AutoTopUp, Purchase, StripeCustomer, Transaction
from credits.payments import auto_top_up, saved_cards, top_up_charges
from credits.payments.auto_top_up import Agreement
from tests.factories import SYSTEM, gift, give, hold, package, spend, subscribe

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=2)
OPERATOR = Origin("operator:o")
OWNED = {"status": "succeeded", "customer": "cus_a", "payment_method": "pm_1"}


@pytest.fixture(autouse=True)
def agreed() -> None:
    """Let alice have 20 credits, and 10 as both thresholds."""
    give("alice", 5)
    give("alice", 15)
    StripeCustomer.objects.create(user_id="alice", stripe_customer_id="cus_a", created_at=NOW)
    wanted = NewSettings(low_balance=Decimal(10))
    account_settings.save("alice", wanted, origin=Origin("user"), now=NOW)
    terms = Agreement(package().pk, Decimal(10), 9, "seti_1")
    with patch.object(saved_cards, "setup", return_value=OWNED):
        auto_top_up.agree("alice", terms, origin=Origin("user"), now=NOW)


def work() -> tuple[list[str], list[str]]:
    """Run both jobs; return what became of the notice and of the top-up."""
    told = list(low_balance.tell_due(now=LATER, limit=10))
    with patch.object(saved_cards, "charge", side_effect=lambda one: {"id": f"pi_{one.pk}"}):
        return told, list(top_up_charges.top_up_due(now=LATER, limit=10))


def spend_in_a_batch() -> None:
    items = [Spend("alice", Decimal(each), Memo("chat")) for each in (8, 7)]
    spend_batches.spend_all(items, origin=Origin("service"))


def expire() -> None:
    """Exchange 15 credits for such that expire, and let the worker post the expiry."""
    give("alice", 15, expires_at=NOW + timedelta(days=1))
    gift("alice", 15)
    assert list(credit_expiry.expire_due(now=LATER, limit=10)) == ["expired"]


def expire_in_two_lots() -> None:
    for amount, days in ((12, 1), (3, 1.5)):
        give("alice", amount, expires_at=NOW + timedelta(days=days))
    gift("alice", 15)
    list(credit_expiry.expire_due(now=LATER, limit=10))


def reverse_the_grant() -> None:
    granted = Transaction.objects.get(user_id="alice", amount=15)
    ledger.reverse(granted.pk, memo=Memo(), origin=OPERATOR)


WAYS: dict[str, Callable[[], object]] = {
    "use": lambda: spend("alice", 15),
    "batch": spend_in_a_batch,
    "commit": lambda: reservations.commit(hold("alice", 15).pk, origin=SYSTEM),
    "gift": lambda: gift("alice", 15),
    "expiry": expire,
    "expiry of two lots": expire_in_two_lots,
    "adjustment": lambda: ledger.adjust("alice", Decimal(-15), memo=Memo(), origin=OPERATOR),
    "reversal": reverse_the_grant,
    "Cloud Sync": lambda: subscribe("alice", at=datetime.now(UTC), interval="quarterly"),
}


@pytest.mark.parametrize("way", list(WAYS))
def test_every_way_down_tells_and_buys_once(way: str) -> None:
    WAYS[way]()

    assert ledger.balance_of("alice").posted == 5
    assert work() == (["told"], ["started", "charged"])
    spend("alice", 1)
    assert work() == ([], [])
    assert Purchase.objects.count() == 1


@pytest.mark.parametrize("way", list(WAYS))
def test_a_way_down_that_stays_above_crosses_nothing(way: str) -> None:
    give("alice", 5.0001)

    WAYS[way]()

    assert ledger.balance_of("alice").posted > 10
    assert work() == ([], [])


def test_a_claw_back_tells_and_stops_the_top_up() -> None:
    ledger.claw_back("alice", Decimal(15), memo=Memo(), origin=SYSTEM, cause="refund:re_1")

    assert work() == (["told"], ["paused"])
    assert AutoTopUp.objects.get().pause_reason == "money_back"
    assert not Purchase.objects.exists()


def test_a_claw_back_stops_the_top_up_at_any_balance_and_in_a_full_month() -> None:
    AutoTopUp.objects.update(due_at=LATER + timedelta(days=9))

    ledger.claw_back("alice", Decimal(1), memo=Memo(), origin=SYSTEM, cause="refund:re_1")

    assert work() == ([], ["paused"])


def test_a_claw_back_before_the_agreement_stops_nothing() -> None:
    AutoTopUp.objects.all().delete()
    ledger.claw_back("alice", Decimal(15), memo=Memo(), origin=SYSTEM, cause="refund:re_1")

    terms = Agreement(package().pk, Decimal(10), 9, "seti_1")
    with patch.object(saved_cards, "setup", return_value=OWNED):
        auto_top_up.agree("alice", terms, origin=Origin("user"), now=datetime.now(UTC))

    assert work()[1] == ["started", "charged"]
