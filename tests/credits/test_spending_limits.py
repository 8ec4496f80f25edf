"""Monthly spending limits: over all apps and per app, for spends, holds and batches."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from credits.controls import account_settings
from credits.controls.account_settings import MonthlyLimit, NewSettings
from credits.ledger import ledger, reservations, spend_batches
from credits.ledger.outcomes import InsufficientCredits, SpendingLimitReached
from credits.ledger.posting import Memo, Origin, Priced
from credits.ledger.spend_batches import Spend, Spent
from credits.models import (
    AccountSettings,
    Balance,
    OutboxMessage,
    SettingsChange,
    SpendingLimit,
    Transaction,
)
from credits.sync import cloud_sync, renewals
from mana_credits.privacy import erasure
from tests.api import Caller, use
from tests.factories import SYSTEM, give, hold, spend, subscribe
from tests.query_plans import rows_read_of

pytestmark = pytest.mark.django_db

JANUARY = datetime(2027, 1, 31, 23, 59, 59, tzinfo=UTC)
FEBRUARY = datetime(2027, 2, 1, tzinfo=UTC)


def limit(
    user_id: str = "alice", amount: float | None = None, *, now: datetime | None = None, **apps: int
) -> None:
    """Set the user's limits."""
    account_settings.save(
        user_id,
        NewSettings(
            monthly_limit=None if amount is None else Decimal(str(amount)),
            app_limits={app: Decimal(value) for app, value in apps.items()},
        ),
        origin=Origin("user"),
        now=now or datetime.now(UTC),
    )


def refusal(act: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
    """Return the details of the SpendingLimitReached that the call raises."""
    with pytest.raises(SpendingLimitReached) as caught:
        act(*arguments, **options)
    assert caught.value.details
    return caught.value.details


def test_the_limit_itself_can_be_spent_and_nothing_beyond() -> None:
    give("alice", 100)
    limit(amount=10)

    spend("alice", 9.9999)
    told = refusal(spend, "alice", 0.0002)
    spend("alice", 0.0001)

    assert told == {"limit": Decimal(10), "spent": Decimal("9.9999"), "app": None}
    assert Balance.objects.get(pk="alice").posted == 90


def test_a_refused_spend_moves_nothing_and_leaves_its_key_free() -> None:
    give("alice", 100)
    limit(amount=10)
    keyed = Origin("user", key="k1")

    refusal(ledger.spend, "alice", Decimal(11), memo=Memo("chat"), origin=keyed)
    limit(amount=20)
    posting = ledger.spend("alice", Decimal(11), memo=Memo("chat"), origin=keyed)

    assert not posting.replayed
    assert posting.balance.posted == 89


def test_a_limit_of_an_app_leaves_the_other_apps_alone() -> None:
    give("alice", 100)
    limit(chat=5)

    spend("alice", 5, app_id="chat")
    told = refusal(spend, "alice", 1, app_id="chat")
    spend("alice", 50, app_id="todo")

    assert told == {"limit": 5, "spent": 5, "app": "chat"}


def test_the_limit_over_all_apps_is_told_first() -> None:
    give("alice", 100)
    limit(amount=10, chat=5)
    spend("alice", 6, app_id="todo")

    assert refusal(spend, "alice", 6, app_id="chat")["app"] is None
    assert refusal(spend, "alice", 4.5, app_id="todo")["app"] is None
    spend("alice", 4, app_id="chat")


def test_what_was_spent_before_the_limit_was_set_counts() -> None:
    give("alice", 100)
    spend("alice", 8)
    limit(amount=10)

    assert refusal(spend, "alice", 3)["spent"] == 8


def test_holds_count_until_they_are_released() -> None:
    give("alice", 100)
    limit(amount=10)
    held = hold("alice", 8)

    assert refusal(spend, "alice", 3)["spent"] == 8
    assert refusal(hold, "alice", 3)["spent"] == 8
    reservations.release(held.pk, origin=SYSTEM)
    spend("alice", 3)


def test_an_app_limit_counts_the_holds_of_its_app() -> None:
    give("alice", 100)
    limit(research=10)
    hold("alice", 8)

    assert refusal(hold, "alice", 3) == {"limit": 10, "spent": 8, "app": "research"}
    spend("alice", 50, app_id="chat")


def test_the_commit_of_an_earlier_hold_is_never_refused() -> None:
    give("alice", 100)
    held = hold("alice", 50)
    limit(amount=0)

    committed = reservations.commit(held.pk, origin=SYSTEM)

    assert committed.balance.posted == 50
    assert refusal(spend, "alice", 1) == {"limit": 0, "spent": 50, "app": None}


def test_the_rest_of_a_partial_commit_can_be_spent() -> None:
    give("alice", 100)
    limit(amount=10)
    held = hold("alice", 10)

    reservations.commit(held.pk, amount=Decimal(4), origin=SYSTEM)

    assert refusal(spend, "alice", 7)["spent"] == 4
    spend("alice", 6)


def test_months_end_in_utc() -> None:
    give("alice", 100)
    limit(amount=10)
    spend("alice", 10, at=JANUARY)

    refusal(spend, "alice", 1, at=JANUARY + timedelta(milliseconds=999))
    spend("alice", 10, at=FEBRUARY)
    assert refusal(spend, "alice", 1, at=FEBRUARY)["spent"] == 10


def test_an_open_hold_of_last_month_counts_this_month() -> None:
    give("alice", 100)
    limit(amount=10)
    reservations.reserve(
        "alice", Decimal(8), reason="research", origin=Origin("service", at=JANUARY)
    )

    assert refusal(spend, "alice", 3, at=FEBRUARY)["spent"] == 8


def test_what_was_given_back_this_month_can_be_spent_again() -> None:
    give("alice", 100)
    limit(amount=10, chat=10)
    usage = spend("alice", 10).transaction

    ledger.refund("alice", Decimal(4), memo=Memo("chat"), origin=SYSTEM, usage_id=usage.pk)

    assert refusal(spend, "alice", 5)["spent"] == 6
    spend("alice", 4)


def test_a_reversal_of_a_usage_can_be_spent_again() -> None:
    give("alice", 100)
    limit(amount=10)
    usage = spend("alice", 10).transaction

    ledger.reverse(usage.pk, memo=Memo(), origin=Origin("operator:olga"))

    spend("alice", 10)


def test_a_refund_that_was_reversed_raises_no_limit() -> None:
    give("alice", 100)
    limit(amount=10)
    usage = spend("alice", 10).transaction
    for amount in (3, 4):
        refund = ledger.refund(
            "alice", Decimal(amount), memo=Memo("chat"), origin=SYSTEM, usage_id=usage.pk
        ).transaction

    ledger.reverse(refund.pk, memo=Memo(), origin=Origin("operator:olga"))

    assert refusal(spend, "alice", 4)["spent"] == 7
    spend("alice", 3)


def test_a_refund_of_last_months_usage_raises_no_limit() -> None:
    give("alice", 100)
    limit(amount=10)
    usage = spend("alice", 10, at=JANUARY).transaction
    ledger.refund(
        "alice",
        Decimal(10),
        memo=Memo("chat"),
        origin=Origin("system", at=FEBRUARY),
        usage_id=usage.pk,
    )

    spend("alice", 10, at=FEBRUARY)
    refusal(spend, "alice", 1, at=FEBRUARY)


def test_gifts_adjustments_and_claw_backs_are_not_spends() -> None:
    give("alice", 100)
    limit(amount=0)

    ledger.adjust("alice", Decimal(-10), memo=Memo(), origin=Origin("operator:olga"))
    ledger.claw_back("alice", Decimal(5), memo=Memo(), origin=SYSTEM, cause="refund:1")

    assert Balance.objects.get(pk="alice").posted == 85


def test_missing_credits_are_told_before_the_limit() -> None:
    give("alice", 5)
    limit(amount=1)

    with pytest.raises(InsufficientCredits):
        spend("alice", 6)


def test_a_price_of_the_catalogue_counts() -> None:
    give("alice", 100)
    limit(amount=10)

    spent = ledger.spend("alice", Priced("ai_chat_gpt4"), memo=Memo("chat"), origin=SYSTEM)
    told = refusal(
        ledger.spend, "alice", Priced("ai_chat_gpt4", 2), memo=Memo("chat"), origin=SYSTEM
    )

    assert told["spent"] == -spent.transaction.amount


def test_a_replay_is_answered_as_before_although_the_limit_is_reached() -> None:
    give("alice", 100)
    limit(amount=10)
    keyed = Origin("user", key="k1")
    held_by = Origin("service", key="k2")
    first = ledger.spend("alice", Decimal(6), memo=Memo("chat"), origin=keyed)
    hold_ = reservations.reserve("alice", Decimal(4), reason="chat", origin=held_by)
    limit(amount=0)

    again = ledger.spend("alice", Decimal(6), memo=Memo("chat"), origin=keyed)
    held_again = reservations.reserve("alice", Decimal(4), reason="chat", origin=held_by)

    assert again.replayed
    assert again.transaction == first.transaction
    assert held_again.replayed
    assert held_again.reservation == hold_.reservation


def test_other_users_and_users_who_removed_their_limits_are_not_limited() -> None:
    give("alice", 100)
    give("bob", 100)
    limit(amount=1)

    spend("bob", 50)
    limit()
    spend("alice", 50)

    assert Balance.objects.get(pk="alice").has_settings is False
    assert Balance.objects.get(pk="bob").has_settings is None


def test_a_batch_counts_its_own_items() -> None:
    give("alice", 100)
    give("bob", 100)
    limit(amount=10, chat=6)
    items = [
        Spend("alice", Decimal(4), Memo("chat"), "k1"),
        Spend("alice", Decimal(3), Memo("chat"), "k2"),
        Spend("bob", Decimal(50), Memo("chat"), "k1"),
        Spend("alice", Decimal(4), Memo("todo"), "k3"),
        Spend("alice", Decimal(4), Memo("chat"), "k1"),
        Spend("alice", Decimal("2.0001"), Memo("chat"), "k4"),
        Spend("alice", Decimal(2), Memo("chat"), "k5"),
    ]

    results = spend_batches.spend_all(items, origin=Origin("service"))

    codes = [one.code if not isinstance(one, Spent) else one.replayed for one in results]
    reached = "spending_limit_reached"
    assert codes == [False, reached, False, False, True, reached, False]
    assert results[1].details == {"limit": 6, "spent": 4, "app": "chat"}  # type: ignore[union-attr]
    assert results[5].details == {"limit": 10, "spent": 8, "app": None}  # type: ignore[union-attr]
    assert Transaction.objects.filter(user_id="alice", type="usage").count() == 3


def test_settings_tell_what_was_spent() -> None:
    give("alice", 100)
    limit(amount=20, chat=10, todo=5)
    spend("alice", 3, app_id="chat")
    hold("alice", 2)

    current = account_settings.of_user("alice", now=datetime.now(UTC))

    assert (current.monthly_limit, current.spent) == (20, 5)
    assert current.app_limits == [
        MonthlyLimit("chat", Decimal(10), Decimal(3)),
        MonthlyLimit("todo", Decimal(5), Decimal(0)),
    ]


def test_each_change_is_on_record_and_an_equal_one_is_none() -> None:
    limit(amount=10)
    limit(amount=10)
    limit(chat=5)

    first, second = SettingsChange.objects.filter(user_id="alice").order_by("pk")
    nothing: dict[str, Any] = {"lowBalance": None, "monthlyLimit": None, "appLimits": {}}
    assert first.before == nothing
    assert first.after == second.before == {**nothing, "monthlyLimit": "10"}
    assert second.after == {**nothing, "appLimits": {"chat": "5"}}
    assert (second.subject, second.actor) == ("spending", "user")


def test_over_http_neither_the_user_nor_a_service_passes_the_limit(
    alice: Caller, service: Caller
) -> None:
    give("alice", 100)
    saved = alice.put("settings", {"monthlyLimit": 10})

    by_user = alice.post("use", use(11))
    by_service = service.post("use", use(11, userId="alice"))
    held = service.post("reserve", {"userId": "alice", "amount": 11, "reason": "chat:x"})
    items = {"items": [use(11, userId="alice"), use(1, userId="alice")]}
    batch = service.post("use/batch", items)

    assert saved.json()["monthlyLimit"] == 10
    for answer in (by_user, by_service, held):
        assert answer.status_code == 402
        assert answer.json()["code"] == "spending_limit_reached"
        assert answer.json()["details"] == {"limit": 10, "spent": 0, "app": None}
    refused, posted = batch.json()["items"]
    assert (refused["statusCode"], refused["code"]) == (402, "spending_limit_reached")
    assert refused["details"] == {"limit": 10, "spent": 0, "app": None}
    assert posted["outcome"] == "posted"


def test_settings_over_http(alice: Caller) -> None:
    body = {
        "lowBalance": 0,
        "monthlyLimit": 12.5,
        "appLimits": [
            {"appId": "todo", "monthlyLimit": 3},
            {"appId": "chat", "monthlyLimit": 0.1},
        ],
    }

    empty = alice.get("settings").json()
    assert empty.pop("version")
    saved = alice.put("settings", body).json()
    again = alice.get("settings").json()

    assert empty == {
        "lowBalance": None,
        "monthlyLimit": None,
        "spent": None,
        "appLimits": [],
        "updatedAt": None,
    }
    assert again == saved
    assert saved.pop("updatedAt")
    assert saved.pop("version")
    assert saved == {
        "lowBalance": 0,
        "monthlyLimit": 12.5,
        "spent": 0,
        "appLimits": [
            {"appId": "chat", "monthlyLimit": 0.1, "spent": 0},
            {"appId": "todo", "monthlyLimit": 3, "spent": 0},
        ],
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"monthlyLimit": -1}, "monthlyLimit"),
        ({"monthlyLimit": "10"}, "monthlyLimit"),
        ({"monthlyLimit": True}, "monthlyLimit"),
        ({"lowBalance": 0.00001}, "lowBalance"),
        ({"appLimits": {"chat": 1}}, "appLimits"),
        ({"appLimits": [{"appId": "chat"}]}, "appLimits"),
        ({"appLimits": [{"appId": "", "monthlyLimit": 1}]}, "appLimits"),
        ({"appLimits": [7]}, "appLimits"),
        ({"appLimits": [{"appId": "chat", "monthlyLimit": 1}] * 2}, "appLimits"),
        ({"appLimits": [{"appId": str(n), "monthlyLimit": 1} for n in range(101)]}, "appLimits"),
    ],
)
def test_invalid_settings_are_refused_by_field(alice: Caller, body: Any, field: str) -> None:
    answer = alice.put("settings", body)

    assert answer.status_code == 400
    ((name, sentences),) = answer.json()["details"].items()
    assert name == field
    assert all(isinstance(sentence, str) for sentence in sentences)
    assert isinstance(sentences, list)
    assert not SettingsChange.objects.exists()


def test_an_invalid_limit_is_named_by_its_place(alice: Caller) -> None:
    limits = [{"appId": "chat", "monthlyLimit": 1}, {"appId": "todo"}, 7]

    answer = alice.put("settings", {"appLimits": limits})

    assert answer.json()["details"] == {
        "appLimits": [
            "Limit 2, monthlyLimit: This field is required.",
            "Limit 3, body: A JSON object is expected.",
        ]
    }


@pytest.mark.parametrize("body", [{}, {"version": "0123456789abcdef"}, {"montlyLimit": 20}])
def test_a_body_without_a_setting_switches_nothing_off(alice: Caller, body: Any) -> None:
    alice.put("settings", {"monthlyLimit": 10})

    answer = alice.put("settings", body)

    assert answer.status_code == 400
    assert set(answer.json()["details"]) == {"lowBalance", "monthlyLimit", "appLimits"}
    assert alice.get("settings").json()["monthlyLimit"] == 10


def test_null_settings_are_switched_off(alice: Caller) -> None:
    alice.put("settings", {"appLimits": [{"appId": "chat", "monthlyLimit": 1}]})

    answer = alice.put("settings", {"lowBalance": None, "monthlyLimit": None, "appLimits": None})

    assert (answer.status_code, answer.json()["appLimits"]) == (200, [])


def test_an_erasure_takes_the_settings_and_their_record() -> None:
    give("alice", 100)
    limit(amount=10, chat=5)

    pseudonym = erasure.erase_rows("alice").pseudonym
    give("alice", 100)
    spend("alice", 50)

    assert not AccountSettings.objects.exists()
    assert not SpendingLimit.objects.exists()
    record = SettingsChange.objects.get()
    assert (record.user_id, record.before, record.after) == (pseudonym, {}, {})
    assert Balance.objects.get(pk=pseudonym).has_settings is None


def test_a_renewal_beyond_the_limit_pauses_cloud_sync_and_says_why() -> None:
    give("alice", 500)
    subscribe("alice", at=JANUARY)
    limit(sync=0)

    outcomes = list(renewals.renew_due(now=JANUARY + timedelta(days=40), limit=10))

    assert outcomes == ["paused"]
    (message,) = OutboxMessage.objects.all()
    assert message.body["data"] == {
        "type": "sync_paused",
        "interval": "monthly",
        "spendingLimit": "0",
    }
    assert "Ausgabenlimit von 0 Credits" in message.body["body"]
    assert cloud_sync.status("alice").paused_at


def test_a_spend_under_a_limit_does_not_read_the_history() -> None:
    """The few refunds of a user are found by an index of their own."""
    give("alice", 100)
    for _ in range(300):
        spend("alice", 0.01)
    limit(amount=50, chat=40)

    read = rows_read_of("credits.transactions", lambda: spend("alice", 0.01))

    assert read < 20


def test_an_equal_limit_keeps_when_it_was_reached() -> None:
    limit(chat=5, art=5)
    SpendingLimit.objects.update(reached_at=JANUARY)

    limit(chat=5, art=6)

    reached = dict(SpendingLimit.objects.values_list("app_id", "reached_at"))
    assert reached == {"chat": JANUARY, "art": None}


def test_settings_list_apps_by_name_and_say_when_they_were_last_changed() -> None:
    limit(now=JANUARY, todo=1, art=2)
    limit(now=FEBRUARY, todo=1, art=2, archive=3)

    saved = account_settings.of_user("alice", now=FEBRUARY)

    assert saved.updated_at == FEBRUARY
    assert [one.app_id for one in saved.app_limits] == ["archive", "art", "todo"]
