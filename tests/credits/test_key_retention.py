"""Idempotency keys are deleted after the configured number of days."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from credits import jobs
from credits.ledger import key_retention
from credits.models import IdempotencyKey
from tests.api import Caller, use
from tests.factories import give
from tests.owner import as_owner

# The keys get older, and their transactions do not.
pytestmark = [pytest.mark.django_db, pytest.mark.breaks_the_books]

NOW = datetime.now(UTC)


def spend_with_key(alice: Caller, key: str, *, days_ago: int) -> None:
    assert alice.post("use", use(1, idempotencyKey=key)).status_code == 200
    with as_owner():
        IdempotencyKey.objects.filter(key=key).update(created_at=NOW - timedelta(days=days_ago))


def keys() -> list[str]:
    return sorted(IdempotencyKey.objects.values_list("key", flat=True))


def test_keys_are_deleted_after_a_year(alice: Caller) -> None:
    give("alice", 10)
    spend_with_key(alice, "old", days_ago=366)
    spend_with_key(alice, "young", days_ago=364)

    outcomes = list(jobs.clean_up_keys(NOW))

    assert outcomes == ["deleted"]
    assert keys() == ["young"]


@pytest.mark.parametrize(("days", "left"), [(5, ["k4"]), (20, ["k11", "k4"]), (0, ["k11", "k4"])])
def test_an_operator_sets_for_how_long(
    alice: Caller, settings: Any, days: int, left: list[str]
) -> None:
    settings.IDEMPOTENCY_KEYS_KEPT_DAYS = days
    give("alice", 10)
    spend_with_key(alice, "k4", days_ago=4)
    spend_with_key(alice, "k11", days_ago=11)

    list(jobs.clean_up_keys(NOW))

    assert keys() == left


def test_a_request_that_is_sent_again_after_that_is_a_new_one(alice: Caller) -> None:
    give("alice", 10)
    spend_with_key(alice, "k", days_ago=366)
    replay = alice.post("use", use(1, idempotencyKey="k")).json()
    list(jobs.clean_up_keys(NOW))

    again = alice.post("use", use(1, idempotencyKey="k")).json()

    assert replay["message"] == "Transaction already processed"
    assert "message" not in again
    assert again["newBalance"]["balance"] == 8


def test_each_statement_deletes_a_bounded_number(
    alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_retention, "KEYS_PER_STATEMENT", 2)
    give("alice", 10)
    for index in range(5):
        spend_with_key(alice, f"k{index}", days_ago=366)

    counts = list(key_retention.delete_older(NOW - timedelta(days=365)))

    assert counts == [2, 2, 1]
    assert keys() == []
