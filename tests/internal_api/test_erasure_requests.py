"""Erasure of a long history: answered at once, completed by the worker."""

from collections.abc import Generator
from datetime import UTC, datetime
from io import StringIO
from typing import Any
from unittest.mock import patch

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from psycopg.errors import LockNotAvailable

from credits import worker
from credits.bulkheads import TooBusy
from credits.models import Balance, ErasureRequest, IdempotencyKey, Transaction, UsageStat
from mana_credits.privacy import erasure, erasure_requests
from tests.api import Caller, use
from tests.factories import give, hold, spend

pytestmark = pytest.mark.django_db


@pytest.fixture
def dora(monkeypatch: pytest.MonkeyPatch, service: Caller) -> str:
    """Create a user with a key and 6 transactions, more than a request erases in these tests."""
    monkeypatch.setattr(erasure_requests, "LONGEST_AT_ONCE", 4)
    monkeypatch.setattr(erasure, "ENTRIES_PER_STATEMENT", 4)
    give("dora", 100)
    for _ in range(4):
        spend("dora", 2)
    service.post("use", use(1, userId="dora", idempotencyKey="k"))
    return "dora"


def complete() -> dict[str, int]:
    """Run the worker's job. Return the number of each outcome."""
    return dict(worker.run(worker.jobs()["erase_people"], now=datetime.now(UTC)))


def owners() -> set[str]:
    models = (Balance, Transaction, UsageStat, IdempotencyKey, ErasureRequest)
    return {
        "erased" if name.startswith("erased:") else name
        for model in models
        for name in model._default_manager.values_list("user_id", flat=True)
    }


def test_a_long_history_is_answered_at_once_with_what_is_known(service: Caller, dora: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        answer = service.delete("balance/dora")

    assert (answer.status_code, answer.json()) == (200, {"deletedCount": 7})
    assert not any("credits.transactions" in one["sql"] for one in queries.captured_queries)
    assert owners() == {"dora"}


def test_to_ask_again_changes_nothing(service: Caller, dora: str) -> None:
    first = service.delete("balance/dora").json()
    spend("dora", 1)

    again = service.delete("balance/dora").json()

    assert first == again == {"deletedCount": 7}
    assert ErasureRequest.objects.count() == 1


def test_until_the_worker_is_done_the_account_is_as_before(service: Caller, dora: str) -> None:
    service.delete("balance/dora")

    balance = service.get("balance/dora").json()
    used = service.post("use", use(1, userId="dora"))

    assert (balance["balance"], balance["transactionsCount"]) == (91, 6)
    assert used.status_code == 200


def test_the_worker_erases_all_of_it_and_the_request(service: Caller, dora: str) -> None:
    service.delete("balance/dora")
    spend("dora", 1)

    outcomes = complete()

    assert outcomes == {"statements": 2, "erased": 1}
    assert owners() == {"erased"}
    assert [row.number for row in Transaction.objects.order_by("number")] == [1, 2, 3, 4, 5, 6, 7]
    assert service.get("balance/dora").json()["transactionsCount"] == 0
    assert service.delete("balance/dora").json() == {"deletedCount": 0}
    assert complete() == {}


def test_a_short_history_is_erased_by_the_request(service: Caller, dora: str) -> None:
    give("bob", 10)

    answer = service.delete("balance/bob").json()

    assert answer == {"deletedCount": 2}
    assert not Balance.objects.filter(pk="bob").exists()
    assert not ErasureRequest.objects.exists()


def test_reservations_count_as_history(service: Caller, dora: str) -> None:
    give("bob", 10)
    for _ in range(4):
        hold("bob", 1)

    assert service.delete("balance/bob").json() == {"deletedCount": 2}
    assert ErasureRequest.objects.get().user_id == "bob"


@pytest.mark.usefixtures("committed")
def test_an_erasure_that_is_stopped_changes_nothing_and_is_done_later(
    service: Caller, dora: str
) -> None:
    service.delete("balance/dora")
    steps: Any = erasure_requests.complete_due()
    assert next(steps) == "statements"
    steps.close()

    stopped = owners()
    outcomes = complete()

    assert stopped == {"dora"}
    assert outcomes == {"statements": 2, "erased": 1}
    assert owners() == {"erased"}


@pytest.mark.parametrize("is_locked", [True, False])
def test_a_person_whose_rows_are_locked_or_added_is_left_for_later(
    service: Caller, dora: str, is_locked: bool
) -> None:
    """Another worker or an operator may hold the lock, or the person spends all the time."""
    give("bob", 10)
    ErasureRequest.objects.create(pk="bob", known_rows=2, requested_at=datetime.now(UTC))
    service.delete("balance/dora")
    real = erasure.erasing

    def erasing(user_id: str) -> Generator[int, None, erasure.Erased]:
        if user_id == "bob":
            if is_locked:
                raise OperationalError from LockNotAvailable()
            raise TooBusy
        return (yield from real(user_id))

    with patch("mana_credits.privacy.erasure.erasing", erasing):
        outcomes = complete()

    assert outcomes == {"locked": 1, "statements": 2, "erased": 1}
    assert [one.user_id for one in ErasureRequest.objects.all()] == ["bob"]


def test_any_other_failure_of_the_database_is_the_jobs(service: Caller, dora: str) -> None:
    service.delete("balance/dora")

    with (
        patch("mana_credits.privacy.erasure.erasing", side_effect=OperationalError),
        pytest.raises(OperationalError),
    ):
        complete()

    assert owners() == {"dora"}


def test_the_age_of_the_oldest_request_is_known(service: Caller, dora: str) -> None:
    before = datetime.now(UTC)
    nothing = erasure_requests.next_due(before)
    service.delete("balance/dora")

    assert nothing is None
    assert before <= (erasure_requests.next_due(before) or before) <= datetime.now(UTC)


def test_a_dry_run_counts_what_the_run_erases_and_rewrites_no_history(dora: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        tried = erase_user("dora")
    done = erase_user("dora", "--apply")

    assert tried[:-1] == done[:-1]
    assert "transactions      6" in tried
    statements = [one["sql"] for one in queries.captured_queries]
    assert not [one for one in statements if one.startswith('UPDATE "credits"."transactions"')]
    assert not [one for one in statements if "DELETE" in one and "idempotency_keys" in one]
    assert owners() == {"erased"}


def erase_user(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("erase_user", *arguments, stdout=out)
    return out.getvalue().splitlines()
