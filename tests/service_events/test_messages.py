"""Messages are written with their cause: in its transaction, for subscribers only."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from pytest_django import Settings

from credits.controls import account_settings, expiry_notices, low_balance
from credits.controls.account_settings import NewSettings
from credits.ledger import ledger
from credits.ledger.outcomes import SpendingLimitReached
from credits.ledger.posting import Memo, Origin
from credits.models import SyncSubscription, Transaction
from credits.payments import money_back
from credits.principals import User
from credits.sync import renewals
from gifts import codes
from internal_api import service_keys
from internal_api.service_keys import KeyTerms
from mana_credits.service_events import event_types, subscriptions
from mana_credits.service_events.models import EventMessage
from tests.api import Caller, use
from tests.credits.test_money_back import paid, went_back
from tests.factories import due_subscribers, gift, give, hold, redeem, spend
from tests.owner import as_owner
from tests.round_trips import statements
from tests.service_events.conftest import Subscribe

pytestmark = pytest.mark.django_db


def told(user_id: str = "alice") -> list[str]:
    """Return the events about a user in order."""
    messages = EventMessage.objects.filter(user_id=user_id).order_by("number")
    return list(messages.values_list("event", flat=True))


def data_of(event: str) -> dict[str, Any]:
    found: dict[str, Any] = EventMessage.objects.get(event=event).data
    return found


def test_credits_that_are_added_are_announced(subscribe: Subscribe) -> None:
    subscribe()

    posting = give("alice", "12.5")

    assert told() == ["credits.added"]
    assert data_of("credits.added") == {
        "transactionId": str(posting.transaction.pk),
        "transactionType": "grant",
        "amount": 12.5,
        "balance": 12.5,
        "appId": posting.transaction.app_id,
    }


def test_a_spend_is_announced_only_if_it_depletes_the_balance(subscribe: Subscribe) -> None:
    subscribe()
    give("alice", 10)

    spend("alice", 4)
    assert told() == ["credits.added"]
    spend("alice", 6)

    assert told() == ["credits.added", "balance.depleted"]
    assert data_of("balance.depleted")["balance"] == 0


def test_each_item_of_a_batch_counts(subscribe: Subscribe, service: Caller) -> None:
    subscribe()
    give("alice", 20)
    spends = [use(10, userId="alice", idempotencyKey=f"{number}") for number in range(2)]

    service.post("use/batch", {"items": spends})

    assert told() == ["credits.added", "balance.depleted"]


def test_a_purchase_and_its_refunds_are_announced(subscribe: Subscribe) -> None:
    subscribe("purchase.completed", "purchase.refunded")
    purchase = paid()
    money_back.record(went_back(purchase, 100), now=datetime.now(UTC))
    money_back.record(went_back(purchase, 399), now=datetime.now(UTC))

    assert told(purchase.user_id) == ["purchase.completed", *["purchase.refunded"] * 2]
    assert data_of("purchase.completed")["purchaseId"] == str(purchase.pk)
    refunds = EventMessage.objects.filter(event="purchase.refunded").order_by("number")
    assert [message.data["amount"] for message in refunds] == [-100.2004, -399.7996]
    assert {message.data["purchaseId"] for message in refunds} == {str(purchase.pk)}


def test_a_dispute_is_no_refund(subscribe: Subscribe) -> None:
    subscribe("purchase.refunded")
    purchase = paid()

    money_back.record(went_back(purchase, 499, kind="dispute"), now=datetime.now(UTC))

    assert Transaction.objects.filter(type="clawback").exists()
    assert told(purchase.user_id) == []


def test_a_redeemed_gift_is_announced(subscribe: Subscribe) -> None:
    give("ivan", 10)
    subscribe("gift.redeemed", "balance.depleted")
    sent = gift("ivan", 10)

    redeem(sent, "judy")

    assert told("ivan") == ["balance.depleted"]
    assert told("judy") == ["gift.redeemed"]
    assert data_of("gift.redeemed")["giftId"] == str(sent.pk)


def test_a_gift_that_comes_back_was_not_redeemed(subscribe: Subscribe) -> None:
    give("ivan", 10)
    sent = gift("ivan", 10)
    subscribe("gift.redeemed", "credits.added")

    codes.cancel(sent.pk, user=User("ivan"), origin=Origin("user"), now=datetime.now(UTC))

    assert told("ivan") == ["credits.added"]


def test_a_paused_cloud_sync_is_announced(subscribe: Subscribe) -> None:
    now = datetime.now(UTC)
    (user_id,) = due_subscribers(1, since=now - timedelta(days=1))
    spend(user_id, 3)
    subscribe("subscription.paused")

    with as_owner():
        assert list(renewals.renew_due(now=now, limit=10)) == ["paused"]

    paused_at = SyncSubscription.objects.get().paused_at
    assert told(user_id) == ["subscription.paused"]
    assert paused_at
    assert data_of("subscription.paused") == {
        "interval": "monthly",
        "pausedAt": paused_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def test_what_is_rolled_back_is_not_announced(subscribe: Subscribe) -> None:
    subscribe()

    with transaction.atomic():
        give("alice", 10)
        assert told() == ["credits.added"]
        transaction.set_rollback(True)

    assert told() == []


def test_without_a_subscription_nothing_is_written() -> None:
    give("alice", 10)
    spend("alice", 10)

    assert not EventMessage.objects.exists()


def test_each_subscriber_gets_the_events_it_asked_for(subscribe: Subscribe) -> None:
    chat, _ = subscribe("credits.added")
    shop, _ = subscribe("credits.added", "balance.depleted", service="shop")
    over, _ = subscribe("credits.added", service="over")
    subscriptions.end(over.pk, now=datetime.now(UTC))

    give("alice", 1)
    spend("alice", 1)

    rows = EventMessage.objects.order_by("number").values_list("subscription", "event")
    assert sorted(rows[:2]) == sorted([(chat.pk, "credits.added"), (shop.pk, "credits.added")])
    assert list(rows[2:]) == [(shop.pk, "balance.depleted")]


def test_a_paused_subscriber_collects(subscribe: Subscribe) -> None:
    made, _ = subscribe()
    subscriptions.pause(made.pk, now=datetime.now(UTC))

    give("alice", 1)

    assert told() == ["credits.added"]


def test_history_that_is_imported_is_no_news(subscribe: Subscribe) -> None:
    subscribe()

    ledger.grant(
        "alice",
        Decimal(5),
        memo=Memo(description="long ago"),
        origin=Origin("system", at=datetime.now(UTC) - timedelta(days=2)),
        cause="grant:long-ago",
    )

    assert told() == []


@pytest.mark.parametrize("event", event_types.ALL)
def test_every_event_has_its_trigger(event: str) -> None:
    """The names are in SQL too: a new type needs a trigger that writes it."""
    from credits.ledger import sql_files  # noqa: PLC0415

    folder = sql_files.path("mana_credits.service_events", "announce").parent
    texts = [path.read_text() for path in folder.glob("announce_*.sql")]

    assert f"'{event}'" in "".join(texts)


@pytest.mark.parametrize("act", [lambda: give("alice", 5), lambda: spend("alice", 5)])
def test_a_subscription_costs_no_round_trip(
    act: Callable[[], object], subscribe: Subscribe
) -> None:
    give("alice", 5)
    subscribe()

    assert statements(act)[0] == 1


def test_on_a_cluster_nobody_can_subscribe(subscribe: Subscribe, settings: Settings) -> None:
    settings.DATABASE_SHARDED = True

    with pytest.raises(subscriptions.InvalidSubscription, match="Citus"):
        subscribe()


def settings_of_alice(*, low: int | None = None, limit: int | None = None, **apps: int) -> None:
    limits = {app: Decimal(amount) for app, amount in apps.items()}
    account_settings.save(
        "alice",
        NewSettings(
            low_balance=None if low is None else Decimal(low),
            monthly_limit=None if limit is None else Decimal(limit),
            app_limits=limits,
        ),
        origin=Origin("user"),
        now=datetime.now(UTC),
    )


def refused(act: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    with pytest.raises(SpendingLimitReached):
        act(*arguments, **options)


def test_a_spend_to_the_threshold_is_announced(subscribe: Subscribe) -> None:
    subscribe("balance.low", "balance.depleted")
    give("alice", 100)
    settings_of_alice(low=10)

    spend("alice", 89)
    assert told() == []
    spend("alice", "1.5")
    spend("alice", 1)

    assert told() == ["balance.low"]
    assert data_of("balance.low") == {"threshold": 10, "balance": 9.5}


def test_a_spend_that_uses_up_everything_is_low_and_then_depleted(subscribe: Subscribe) -> None:
    subscribe("balance.low", "balance.depleted")
    give("alice", 100)
    settings_of_alice(low=10)

    spend("alice", 100)

    assert told() == ["balance.low", "balance.depleted"]


def test_after_the_worker_has_told_the_user_the_next_crossing_counts(
    subscribe: Subscribe,
) -> None:
    subscribe("balance.low")
    give("alice", 100)
    settings_of_alice(low=10)
    for _ in range(2):
        spend("alice", 95)
        assert list(low_balance.tell_due(now=datetime.now(UTC), limit=1000)) == ["told"]
        give("alice", 95)

    assert told() == ["balance.low", "balance.low"]


def test_a_batch_announces_a_low_balance_and_a_limit_once(
    subscribe: Subscribe, service: Caller
) -> None:
    subscribe("balance.low", "spending_limit.reached")
    give("alice", 100)
    settings_of_alice(low=90, limit=30)
    spends = [use(10, userId="alice", idempotencyKey=f"{number}") for number in range(5)]

    service.post("use/batch", {"items": spends})

    assert sorted(told()) == ["balance.low", "spending_limit.reached"]


def test_the_first_refusal_by_a_limit_is_announced(subscribe: Subscribe) -> None:
    subscribe("spending_limit.reached")
    give("alice", 100)
    settings_of_alice(limit=50, chat=20)
    month = f"{datetime.now(UTC):%Y-%m}"

    spend("alice", 20, app_id="chat")
    assert told() == []
    refused(spend, "alice", 1, app_id="chat")
    refused(spend, "alice", 2, app_id="chat")
    assert data_of("spending_limit.reached") == {"limit": 20, "appId": "chat", "month": month}
    refused(hold, "alice", 31)

    assert told() == ["spending_limit.reached"] * 2
    newest = EventMessage.objects.order_by("number").last()
    assert newest
    assert newest.data == {"limit": 50, "month": month}


def test_a_limit_is_announced_again_in_the_next_month_or_when_it_changed(
    subscribe: Subscribe,
) -> None:
    subscribe("spending_limit.reached")
    give("alice", 100)
    settings_of_alice(limit=5)
    refused(spend, "alice", 6)

    settings_of_alice(limit=5, low=1)
    refused(spend, "alice", 6)
    assert len(told()) == 1
    settings_of_alice(limit=4, low=1)
    refused(spend, "alice", 6)
    assert len(told()) == 2
    refused(spend, "alice", 6, at=datetime.now(UTC) + timedelta(days=32))

    assert len(told()) == 3


def test_a_refusal_within_a_services_cap_is_announced(
    subscribe: Subscribe, service: Caller
) -> None:
    subscribe("spending_limit.reached")
    give("alice", 100)
    settings_of_alice(limit=5)
    terms = KeyTerms(scopes=["use"], daily_spend_per_user=Decimal(50))
    _, secret = service_keys.create("chat", terms, by="ada", now=datetime.now(UTC))
    capped = Caller({"X-Service-Key": secret}, prefix="/api/v1/internal/credits/")

    answer = capped.post("use", use(6, userId="alice"))

    assert (answer.status_code, answer.json()["code"]) == (402, "spending_limit_reached")
    assert told() == ["spending_limit.reached"]


def test_settings_without_a_subscription_cost_no_message() -> None:
    give("alice", 100)
    settings_of_alice(low=90, limit=50)

    spend("alice", 20)
    refused(spend, "alice", 40)

    assert not EventMessage.objects.exists()


def test_credits_that_expire_within_a_week_are_announced(subscribe: Subscribe) -> None:
    subscribe("credits.expiring")
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    granted = give("alice", 10, expires_at=at).transaction
    spend("alice", 2)

    assert list(expiry_notices.tell_due(now=at - timedelta(days=7), limit=1000)) == ["told"]

    assert told() == ["credits.expiring"]
    assert data_of("credits.expiring") == {
        "transactionId": str(granted.pk),
        "amount": 8,
        "expiresAt": at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    }
