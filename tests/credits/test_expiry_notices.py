"""Users are told once, a week before credits expire."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from credits.controls import account_settings, expiry_notices
from credits.controls.account_settings import NewSettings
from credits.ledger.posting import Origin
from credits.models import CreditLot, OutboxMessage, StripeCustomer
from mana_credits.service_events.models import EventMessage
from tests.factories import give, spend

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC).replace(microsecond=0)
WEEK = timedelta(days=7)
EXPIRES = NOW + timedelta(days=30)
TELL = EXPIRES - WEEK


def told(now: datetime = TELL) -> list[str]:
    return list(expiry_notices.tell_due(now=now, limit=1000))


def speak(language: str) -> None:
    settings = NewSettings(low_balance=Decimal(1))
    account_settings.save("alice", settings, origin=Origin("user"), now=NOW, language=language)


def test_users_are_told_once_a_week_before() -> None:
    granted = give("alice", 10, expires_at=EXPIRES).transaction
    spend("alice", 2.5)
    StripeCustomer.objects.create(user_id="alice", email="alice@example.test", created_at=NOW)
    speak("en")

    assert told(TELL - timedelta(seconds=1)) == []
    assert expiry_notices.next_due(NOW) == TELL
    assert told() == ["told"]
    assert told() == []
    assert expiry_notices.next_due(NOW) is None

    message = OutboxMessage.objects.get()
    assert message.key == f"expiring_credits:{granted.pk}"
    assert message.body["recipient"] == "alice@example.test"
    assert message.body["subject"] == "Some of your credits expire soon"
    day = EXPIRES.strftime("%Y-%m-%d")
    assert message.body["body"].startswith(f"You have until {day} (UTC) to use 7.5 credits.")
    assert message.body["data"] == {
        "type": "credits_expiring",
        "credits": "7.5",
        "expiresAt": EXPIRES.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


@pytest.mark.parametrize("language", ["de", ""])
def test_the_notice_is_german_unless_the_user_is_known_to_read_english(language: str) -> None:
    give("alice", 10, expires_at=EXPIRES)
    if language:
        speak(language)

    told()

    body = OutboxMessage.objects.get().body
    assert body["subject"] == "Credits von dir verfallen bald"
    assert body["body"].startswith(f"Du hast bis {EXPIRES:%d.%m.%Y} (UTC) Zeit, 10 Credits")


def test_each_grant_has_its_own_notice() -> None:
    give("alice", 1, expires_at=EXPIRES)
    give("alice", 1, expires_at=EXPIRES)
    give("alice", 1, expires_at=EXPIRES + timedelta(days=1))

    assert told() == ["told", "told"]
    assert OutboxMessage.objects.count() == 2


def test_what_is_spent_lives_a_week_or_has_expired_is_not_told() -> None:
    give("alice", 10, expires_at=EXPIRES)
    spend("alice", 10)
    give("bob", 10, expires_at=NOW + WEEK)
    give("carol", 10, expires_at=EXPIRES)

    assert told(NOW + WEEK - timedelta(seconds=1)) == []
    assert told(EXPIRES) == []
    assert not OutboxMessage.objects.exists()


def test_a_notice_changes_nothing_else() -> None:
    give("alice", 10, expires_at=EXPIRES)

    told()

    lot = CreditLot.objects.get()
    assert (lot.remaining, lot.expires_at, lot.notice_due_at) == (10, EXPIRES, None)
    assert not EventMessage.objects.exists()
