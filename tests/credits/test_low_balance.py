"""The low-balance notice: once per crossing, by the outbox."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from credits.controls import account_settings, low_balance
from credits.controls.account_settings import NewSettings
from credits.ledger import ledger, reservations, spend_batches
from credits.ledger.posting import Memo, Origin
from credits.ledger.spend_batches import Spend
from credits.models import AccountSettings, OutboxMessage, StripeCustomer
from tests.factories import SYSTEM, gift, give, hold, spend

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def notify_at(threshold: float | None, *, language: str = "en") -> None:
    """Set alice's threshold."""
    wanted = None if threshold is None else Decimal(str(threshold))
    account_settings.save(
        "alice", NewSettings(low_balance=wanted), origin=Origin("user"), now=NOW, language=language
    )


def told() -> list[str]:
    """Run the job; return the outcomes."""
    return list(low_balance.tell_due(now=NOW, limit=1000))


def messages() -> list[OutboxMessage]:
    return list(OutboxMessage.objects.order_by("pk"))


def test_a_spend_to_the_threshold_is_told_once() -> None:
    give("alice", 100)
    StripeCustomer.objects.create(user_id="alice", email="alice@example.test", created_at=NOW)
    notify_at(10)

    spend("alice", 89.9999)
    assert told() == []
    spend("alice", 0.0001)
    spend("alice", 1)
    assert told() == ["told"]
    spend("alice", 1)
    assert told() == []

    (message,) = messages()
    assert message.body["recipient"] == "alice@example.test"
    assert message.body["subject"] == "Your credits are running low"
    assert message.body["body"].startswith("You have 9 credits left. You asked to be notified at")
    assert message.body["data"] == {
        "type": "low_balance",
        "threshold": "10",
        "availableCredits": "9",
    }


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "You have 1 credit left. You asked to be notified at 1 credit."),
        ("de", "Du hast noch 1 Credit. Du wolltest bei 1 Credit benachrichtigt werden."),
    ],
)
def test_one_credit_is_singular(language: str, sentence: str) -> None:
    give("alice", 2)
    notify_at(1, language=language)
    spend("alice", 1)
    told()

    assert messages()[0].body["body"].startswith(sentence)


def test_the_next_crossing_is_told_again() -> None:
    give("alice", 20)
    notify_at(10)
    spend("alice", 15)
    assert told() == ["told"]

    give("alice", 20)
    spend("alice", 16)

    assert told() == ["told"]
    assert len(messages()) == 2


def test_a_balance_that_rose_meanwhile_is_not_told() -> None:
    give("alice", 20)
    notify_at(10)
    spend("alice", 15)
    give("alice", 20)

    assert told() == ["not_needed"]
    spend("alice", 16)
    assert told() == ["told"]
    assert messages()[0].body["data"]["availableCredits"] == "9"


def test_a_threshold_above_the_balance_is_told_after_the_balance_rose() -> None:
    give("alice", 5)
    notify_at(10)
    spend("alice", 1)
    assert told() == []

    give("alice", 10)
    spend("alice", 5)

    assert told() == ["told"]


def test_a_hold_crosses_when_it_is_committed() -> None:
    give("alice", 20)
    notify_at(10)
    released, committed = hold("alice", 5), hold("alice", 15)
    reservations.release(released.pk, origin=SYSTEM)
    assert told() == []

    reservations.commit(committed.pk, origin=SYSTEM)

    assert told() == ["told"]


def test_gifts_adjustments_and_batches_cross_too() -> None:
    for act in (
        lambda: gift("alice", 15),
        lambda: ledger.adjust("alice", Decimal(-15), memo=Memo(), origin=Origin("operator:o")),
        lambda: spend_batches.spend_all(
            [Spend("alice", Decimal(8), Memo("chat")), Spend("alice", Decimal(7), Memo("chat"))],
            origin=Origin("service"),
        ),
    ):
        notify_at(None)
        give("alice", 20 - ledger.balance_of("alice").posted)
        notify_at(10)
        act()
        assert told() == ["told"]


def test_a_notice_that_was_switched_off_is_not_told() -> None:
    give("alice", 20)
    notify_at(10)
    spend("alice", 15)

    notify_at(None)

    assert told() == []
    assert AccountSettings.objects.get().crossed_at is None


def test_the_notice_is_german_without_a_language() -> None:
    give("alice", 20)
    notify_at(10, language="")
    spend("alice", 15)
    told()

    (message,) = messages()
    assert message.body["subject"] == "Deine Credits gehen zur Neige"
    assert "recipient" not in message.body


def test_the_metrics_see_the_oldest_crossing() -> None:
    give("alice", 20)
    notify_at(10)
    assert low_balance.next_due(NOW) is None

    spend("alice", 15, at=NOW)

    assert low_balance.next_due(NOW) == NOW


def test_another_limit_keeps_a_crossing_that_was_not_told() -> None:
    give("alice", 20)
    notify_at(10)
    spend("alice", 15)

    wanted = NewSettings(low_balance=Decimal(10), monthly_limit=Decimal(99))
    account_settings.save("alice", wanted, origin=Origin("user"), now=NOW)

    assert told() == ["told"]


def test_another_threshold_forgets_a_crossing_of_the_old_one() -> None:
    give("alice", 20)
    notify_at(10)
    spend("alice", 15)

    notify_at(3)

    assert told() == []


def test_the_notice_says_what_can_be_spent() -> None:
    give("alice", 20)
    notify_at(10)
    hold("alice", 4)

    spend("alice", 15)

    assert told() == ["told"]
    assert messages()[0].body["data"]["availableCredits"] == "1"
