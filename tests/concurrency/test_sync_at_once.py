"""Cloud Sync under concurrency: each period is charged once."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from credits.models import Balance, SyncSubscription, Transaction
from credits.sync import cloud_sync, renewals
from tests.api import Answer, Caller, at_once, statuses
from tests.environment import PROVIDER
from tests.factories import due_subscribers, give, subscribe

DUE = datetime(2026, 10, 31, 9, 30, tzinfo=UTC)
NOW = DUE + timedelta(hours=1)
NEXT = datetime(2026, 11, 30, 9, 30, tzinfo=UTC)


def charged_users() -> Counter[str]:
    rows = Transaction.objects.filter(operation="cloud_sync")
    return Counter(rows.values_list("user_id", flat=True))


def activations(user_id: str, body: dict[str, str]) -> list[Answer]:
    """Send ten concurrent activations of one user."""
    token = PROVIDER.token(user_id)
    return at_once(10, lambda _: Caller.with_token(token).post("/api/v1/sync/activate", body))


def test_fault_5_ten_activations_at_once_charge_once(committed: None) -> None:
    users = [f"user-{number}" for number in range(3)]
    for user_id in users:
        give(user_id, 100)

    for user_id in users:
        answers = activations(user_id, {})
        assert statuses(answers) == {200: 1, 400: 9}

    assert charged_users() == dict.fromkeys(users, 1)
    assert set(Balance.objects.values_list("posted", flat=True)) == {95}


def test_ten_activations_with_one_key_are_one_with_one_answer(committed: None) -> None:
    give("alice", 100)

    answers = activations("alice", {"idempotencyKey": "k1", "interval": "quarterly"})

    assert statuses(answers) == {200: 10}
    assert len({answer.content for answer in answers}) == 1
    assert Balance.objects.get().posted == 85


def test_fault_6_five_charge_recurring_at_once_over_twenty_due(
    committed: None, service: Caller
) -> None:
    users = due_subscribers(20, since=datetime.now(UTC) - timedelta(days=1))

    answers = at_once(5, lambda _: service.post("/api/v1/internal/sync/charge-recurring"))

    assert statuses(answers) == {200: 5}
    sums: Counter[str] = Counter()
    for answer in answers:
        sums.update(answer.json())
    assert sums == {"charged": 20, "paused": 0, "errors": 0, "total": 20}
    assert charged_users() == dict.fromkeys(users, 1)


@pytest.mark.slow
def test_two_workers_and_the_http_trigger_at_once_over_a_thousand_due(
    committed: None, service: Caller
) -> None:
    now = datetime.now(UTC)
    users = due_subscribers(1000, since=now - timedelta(days=1))

    def charge(index: int) -> Any:
        if index == 0:
            return service.post("/api/v1/internal/sync/charge-recurring").json()["charged"]
        return Counter(renewals.renew_due(now=now, limit=10_000))["charged"]

    counts = at_once(3, charge)

    assert sum(counts) == 1000
    assert all(counts)
    assert charged_users() == dict.fromkeys(users, 1)
    assert not SyncSubscription.objects.filter(paid_until__lte=now).exists()
    assert set(Balance.objects.values_list("posted", flat=True)) == {0}


def test_a_renewal_against_a_deactivation_is_charged_or_off(committed: None) -> None:
    users = due_subscribers(20, since=DUE)

    def act(index: int) -> None:
        if index == 0:
            list(renewals.renew_due(now=NOW, limit=20))
            return
        for user_id in reversed(users):
            cloud_sync.deactivate(user_id, now=NOW)

    at_once(2, act)

    charged = charged_users()
    for subscription in SyncSubscription.objects.all():
        assert subscription.active is False
        assert (subscription.paid_until == NEXT) is (charged[subscription.pk] == 1)


def test_a_renewal_against_an_activation_charges_one_period(committed: None) -> None:
    give("alice", 100)
    subscribe("alice", at=DUE - timedelta(days=30))
    cloud_sync.deactivate("alice", now=NOW)
    later = NOW + timedelta(days=40)

    at_once(
        2,
        lambda index: (
            list(renewals.renew_due(now=later, limit=10)) if index else subscribe("alice", at=later)
        ),
    )

    assert charged_users() == {"alice": 2}
