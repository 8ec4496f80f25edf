"""Users turn Cloud Sync on and off, and pay by the period."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from credits.api.wire_fields import TimestampField
from credits.catalogue import catalogue
from credits.catalogue.catalogue import Price
from credits.ledger import idempotency, ledger
from credits.ledger.outcomes import IdempotencyKeyReused
from credits.ledger.posting import Memo, Origin
from credits.models import Balance, IdempotencyKey, SyncSubscription, Transaction
from credits.sync import billing_periods, cloud_sync, renewals
from credits.sync.cloud_sync import SyncActive
from tests.api import Caller, use
from tests.environment import PROVIDER
from tests.factories import give, subscribe

pytestmark = pytest.mark.django_db
JANUARY_31 = datetime(2027, 1, 31, 9, 30, tzinfo=UTC)
OFF = {
    "active": False,
    "interval": "monthly",
    "nextChargeAt": None,
    "pausedAt": None,
    "gifted": False,
}
shown = TimestampField().to_representation


@pytest.fixture
def syncer() -> Caller:
    """Return alice as a caller of the Cloud Sync routes."""
    token = PROVIDER.token("alice")
    return Caller({"Authorization": f"Bearer {token}"}, prefix="/api/v1/sync/")


def posted(user_id: str = "alice") -> Decimal:
    return Balance.objects.get(pk=user_id).posted


def test_sync_is_off_for_a_user_never_seen(syncer: Caller) -> None:
    answer = syncer.get("status")

    assert (answer.status_code, answer.json()) == (200, OFF)
    assert not SyncSubscription.objects.exists()


@pytest.mark.parametrize(
    ("body", "interval", "months"),
    [
        (None, "monthly", 1),
        ({}, "monthly", 1),
        ({"interval": None, "idempotencyKey": None}, "monthly", 1),
        ({"interval": "monthly"}, "monthly", 1),
        ({"interval": "quarterly"}, "quarterly", 3),
        ({"interval": "yearly"}, "yearly", 12),
    ],
)
def test_activation_charges_the_first_period(
    syncer: Caller, body: Any, interval: str, months: int
) -> None:
    give("alice", 100)

    answer = syncer.post("activate", b"" if body is None else body)

    assert answer.status_code == 200
    entry = Transaction.objects.get(type="usage")
    subscription = SyncSubscription.objects.get()
    start = subscription.paid_from
    assert start is not None
    ends = billing_periods.end(start, interval, anchor_day=start.day)
    assert answer.json() == {
        "success": True,
        "active": True,
        "interval": interval,
        "nextChargeAt": shown(ends),
        "amountCharged": 5 * months,
    }
    assert entry.amount == -5 * months
    assert (entry.operation, entry.unit_cost, entry.quantity) == ("cloud_sync", 5, months)
    assert (entry.app_id, entry.actor) == ("sync", "user")
    assert entry.cause == f"sync:alice:{start.isoformat()}"
    assert subscription.charge == entry
    assert syncer.get("status").json() == {
        **OFF,
        "active": True,
        "interval": interval,
        "nextChargeAt": shown(ends),
    }


def test_the_price_is_the_catalogues(syncer: Caller) -> None:
    give("alice", 100)
    catalogue.set_price(
        "cloud_sync", Price(Decimal("4.5")), actor="operator:anna", now=datetime.now(UTC)
    )

    answer = syncer.post("activate", {"interval": "quarterly"})

    assert answer.json()["amountCharged"] == 13.5
    assert posted() == Decimal("86.5")


@pytest.mark.parametrize("known", [True, False])
def test_without_the_credits_sync_stays_off(syncer: Caller, known: bool) -> None:
    if known:
        give("alice", 4)

    answer = syncer.post("activate", {})

    assert answer.status_code == 402
    assert answer.json()["details"] == {"required": 5, "available": 4 if known else 0}
    assert not SyncSubscription.objects.exists()
    assert not Transaction.objects.filter(type="usage").exists()


def test_an_active_subscription_is_not_activated_again(syncer: Caller) -> None:
    give("alice", 100)
    syncer.post("activate", {})

    answer = syncer.post("activate", {"interval": "yearly"})

    assert (answer.status_code, answer.json()["code"]) == (400, "sync_active")
    assert posted() == 95
    assert SyncSubscription.objects.get().interval == "monthly"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("activate", {"interval": "weekly"}),
        ("activate", {"interval": 1}),
        ("activate", []),
        ("activate", b"{"),
        ("change-interval", {}),
        ("change-interval", {"interval": None}),
        ("change-interval", {"interval": "daily"}),
    ],
)
def test_bad_input_is_refused_and_nothing_is_stored(syncer: Caller, path: str, body: Any) -> None:
    give("alice", 100)

    answer = syncer.post(path, body)

    assert answer.status_code == 400
    assert posted() == 100
    assert not SyncSubscription.objects.exists()


def test_sync_needs_a_token(anonymous: Caller) -> None:
    answers = [
        anonymous.get("/api/v1/sync/status"),
        anonymous.post("/api/v1/sync/activate"),
        anonymous.post("/api/v1/sync/deactivate"),
        anonymous.post("/api/v1/sync/change-interval"),
        anonymous.get("/api/v1/admin/sync/alice"),
    ]

    assert [answer.status_code for answer in answers] == [401] * 5


def test_a_deactivated_subscription_is_off_at_once_and_never_charged(syncer: Caller) -> None:
    give("alice", 100)
    subscribe("alice", at=JANUARY_31)

    answers = [syncer.post("deactivate"), syncer.post("deactivate")]

    assert [answer.json() for answer in answers] == [{"success": True}] * 2
    assert syncer.get("status").json() == OFF
    assert list(renewals.renew_due(now=JANUARY_31 + timedelta(days=99), limit=10)) == []
    assert posted() == 95


def test_deactivating_an_inactive_subscription_succeeds(syncer: Caller) -> None:
    assert syncer.post("deactivate").status_code == 200
    assert not SyncSubscription.objects.exists()


def test_fault_15_activating_inside_the_paid_period_charges_nothing(syncer: Caller) -> None:
    give("alice", 100)
    first = syncer.post("activate", {"interval": "yearly"}).json()
    syncer.post("deactivate")

    again = syncer.post("activate", {"interval": "monthly"})

    assert again.status_code == 200
    assert again.json() == {**first, "interval": "monthly", "amountCharged": 0}
    assert posted() == 40


def test_activating_after_the_paid_period_starts_a_new_one() -> None:
    give("alice", 100)
    subscribe("alice", at=JANUARY_31)
    cloud_sync.deactivate("alice", now=JANUARY_31)
    later = datetime(2027, 2, 28, 9, 30, tzinfo=UTC)

    early = subscribe("alice", at=later - timedelta(microseconds=1))
    cloud_sync.deactivate("alice", now=later)
    late = subscribe("alice", at=later)

    assert (early.charged, early.next_charge_at) == (0, later)
    assert (late.charged, late.next_charge_at) == (5, datetime(2027, 3, 28, 9, 30, tzinfo=UTC))
    assert posted() == 90


def test_a_new_interval_counts_from_the_next_renewal(syncer: Caller) -> None:
    give("alice", 100)
    first = syncer.post("activate", {}).json()

    answer = syncer.post("change-interval", {"interval": "yearly"})

    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "interval": "yearly",
        "amountCharged": 60,
        "effectiveAt": first["nextChargeAt"],
    }
    assert posted() == 95
    due = SyncSubscription.objects.get().paid_until
    assert due is not None
    assert list(renewals.renew_due(now=due, limit=10)) == ["charged"]
    renewed = SyncSubscription.objects.get()
    assert posted() == 35
    assert renewed.paid_until == billing_periods.end(
        due, "yearly", anchor_day=renewed.anchor_day or 0
    )


def test_there_is_no_interval_to_change_while_sync_is_off(syncer: Caller) -> None:
    answer = syncer.post("change-interval", {"interval": "yearly"})

    assert (answer.status_code, answer.json()["code"]) == (400, "sync_inactive")
    assert not SyncSubscription.objects.exists()


def test_the_same_key_activates_once_and_answers_as_it_did(syncer: Caller) -> None:
    give("alice", 100)
    key = {"Idempotency-Key": "k1"}
    first = syncer.post("activate", {"interval": "quarterly"}, headers=key).json()
    due = SyncSubscription.objects.get().paid_until
    assert due is not None
    list(renewals.renew_due(now=due, limit=10))

    replay = syncer.post("activate", {"interval": "quarterly", "idempotencyKey": "k1"})
    other = syncer.post("activate", {"interval": "yearly"}, headers=key)
    elsewhere = syncer.post("/api/v1/credits/use", use(1), headers=key)

    assert (replay.status_code, replay.json()) == (200, first)
    assert [(a.status_code, a.json()["code"]) for a in (other, elsewhere)] == [
        (409, "idempotency_key_reused")
    ] * 2
    assert posted() == 70


def test_a_key_of_an_activation_that_charged_nothing_is_kept_too(syncer: Caller) -> None:
    give("alice", 100)
    syncer.post("activate", {})
    syncer.post("deactivate")
    key = {"Idempotency-Key": "k1"}
    first = syncer.post("activate", {}, headers=key).json()
    syncer.post("deactivate")

    replay = syncer.post("activate", {}, headers=key)
    taken = syncer.post("/api/v1/credits/use", use(1), headers=key)

    assert (first["amountCharged"], replay.json()) == (0, first)
    assert syncer.get("status").json()["active"] is False
    assert taken.status_code == 409
    assert posted() == 95


def test_a_key_used_for_a_spend_does_not_activate(syncer: Caller) -> None:
    give("alice", 100)
    subscribe("alice", at=datetime.now(UTC))
    cloud_sync.deactivate("alice", now=datetime.now(UTC))
    key = {"Idempotency-Key": "k1"}
    syncer.post("/api/v1/credits/use", use(1), headers=key)

    answer = syncer.post("activate", {}, headers=key)

    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")
    assert syncer.get("status").json()["active"] is False


def test_a_key_that_another_request_takes_meanwhile_is_not_remembered() -> None:
    give("alice", 10)
    origin = Origin("user", key="k1")
    ledger.spend("alice", Decimal(1), memo=Memo(), origin=origin)

    with pytest.raises(IdempotencyKeyReused):
        idempotency.record("alice", origin.naming("sync.activate", "monthly"))


def test_a_refused_activation_leaves_its_key_free(syncer: Caller) -> None:
    key = {"Idempotency-Key": "k1"}
    poor = syncer.post("activate", {}, headers=key)
    give("alice", 10)

    rich = syncer.post("activate", {}, headers=key)

    assert (poor.status_code, rich.status_code) == (402, 200)
    assert IdempotencyKey.objects.count() == 1


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("en-GB,en;q=0.9,de;q=0.8", "en"),
        ("de-AT,en;q=0.5", "de"),
        ("fr", "en"),
        ("*", ""),
        (None, ""),
    ],
)
def test_the_language_of_whoever_activates_is_kept(
    syncer: Caller, header: str | None, language: str
) -> None:
    give("alice", 10)

    syncer.post("activate", {}, headers={"Accept-Language": header} if header else None)

    assert SyncSubscription.objects.get().language == language


def test_activation_at_a_known_moment_does_not_drift() -> None:
    give("alice", 100)

    activation = subscribe("alice", at=JANUARY_31)

    assert activation.next_charge_at == datetime(2027, 2, 28, 9, 30, tzinfo=UTC)
    with pytest.raises(SyncActive):
        cloud_sync.activate("alice", interval="monthly", origin=Origin("user"), now=JANUARY_31)


def test_a_service_sees_the_status(service: Caller) -> None:
    give("a/b", 10)
    subscribe("a/b", at=JANUARY_31)

    answer = service.get("/api/v1/internal/sync/status/a%2Fb")

    assert answer.json() == {
        **OFF,
        "active": True,
        "nextChargeAt": "2027-02-28T09:30:00.000Z",
    }
