"""Batches: each item behaves like `use`, and none affects the others."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credits.amounts import LARGEST
from credits.catalogue import catalogue
from credits.catalogue.catalogue import Price
from credits.ledger import db_functions, ledger
from credits.ledger.posting import Memo, Origin
from credits.models import Balance, IdempotencyKey, Transaction, UsageStat
from tests.api import Caller, use
from tests.factories import give, hold

pytestmark = pytest.mark.django_db

NOW = datetime(2027, 1, 31, 12, tzinfo=UTC)
REUSED = {
    "outcome": "refused",
    "success": False,
    "statusCode": 409,
    "message": "This idempotency key was used for another request",
    "code": "idempotency_key_reused",
}


def of(user_id: str, amount: float = 1, **fields: Any) -> dict[str, Any]:
    return use(amount, userId=user_id, **fields)


def by(user_id: str, operation: str, quantity: int | None = None) -> dict[str, Any]:
    item = of(user_id, operation=operation)
    del item["amount"]
    return {**item, **({"quantity": quantity} if quantity else {})}


def send(service: Caller, *items: Any) -> list[dict[str, Any]]:
    answer = service.post("use/batch", {"items": list(items)})
    assert answer.status_code == 200, answer.content
    outcomes: list[dict[str, Any]] = answer.json()["items"]
    assert len(outcomes) == len(items)
    return outcomes


def insufficient(required: float, available: float) -> dict[str, Any]:
    return {
        "outcome": "refused",
        "success": False,
        "statusCode": 402,
        "message": "Insufficient credits",
        "code": "insufficient_credits",
        "details": {"required": required, "available": available},
    }


def test_each_item_is_answered_as_use_answers_it(service: Caller) -> None:
    give("alice", 10)
    give("bob", 5)

    first, second = send(
        service, of("alice", 2.5, metadata={"n": 1.5}, idempotencyKey="k1"), of("bob", 5)
    )

    row = Transaction.objects.get(pk=first["transaction"].pop("id"))
    at = row.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert first == {
        "outcome": "posted",
        "success": True,
        "transaction": {
            "userId": "alice",
            "type": "usage",
            "status": "completed",
            "amount": -2.5,
            "balanceBefore": 10,
            "balanceAfter": 7.5,
            "appId": "chat",
            "description": "GPT-4 message",
            "metadata": {"n": 1.5},
            "idempotencyKey": "k1",
            "createdAt": at,
            "completedAt": at,
        },
        "newBalance": {"balance": 7.5, "totalEarned": 10, "totalSpent": 2.5},
    }
    assert second["newBalance"] == {"balance": 0, "totalEarned": 5, "totalSpent": 5}
    assert row.actor == "service"
    assert Balance.objects.get(pk="bob").posted == 0


def test_a_refusal_stops_no_other_item(service: Caller) -> None:
    give("alice", 3)

    outcomes = send(
        service, of("alice", 2), of("alice", 2), of("nobody", 1), of("alice", 1), of("alice", 0.5)
    )

    assert [one["outcome"] for one in outcomes] == [
        "posted",
        "refused",
        "refused",
        "posted",
        "refused",
    ]
    assert outcomes[1] == insufficient(2, 1)
    assert outcomes[2] == insufficient(1, 0)
    assert outcomes[4] == insufficient(0.5, 0)
    assert outcomes[3]["transaction"]["balanceBefore"] == 1
    balance = Balance.objects.get(pk="alice")
    assert (balance.posted, balance.total_spent, balance.last_number) == (0, 3, 3)
    assert not Balance.objects.filter(pk="nobody").exists()


def test_held_credits_are_not_spent(service: Caller) -> None:
    give("alice", 10)
    hold("alice", 8)

    first, second = send(service, of("alice", 3), of("alice", 2))

    assert first == insufficient(3, 2)
    assert second["newBalance"] == {"balance": 0, "totalEarned": 10, "totalSpent": 2}
    balance = Balance.objects.get(pk="alice")
    assert (balance.posted, balance.held) == (8, 8)


def test_a_batch_that_is_sent_again_moves_nothing(service: Caller) -> None:
    give("alice", 10)
    items = [of("alice", 1, idempotencyKey=f"k{number}") for number in range(3)]
    first = send(service, *items)

    again = send(service, *items, of("alice", 2, idempotencyKey="k0"))

    assert [one["outcome"] for one in again] == ["replayed"] * 3 + ["refused"]
    assert [one["message"] for one in again[:3]] == ["Transaction already processed"] * 3
    assert [one["transaction"] for one in again[:3]] == [one["transaction"] for one in first]
    assert [one["newBalance"]["balance"] for one in again[:3]] == [7, 7, 7]
    assert again[3] == REUSED
    assert Balance.objects.get(pk="alice").posted == 7


def test_a_key_is_that_of_use(service: Caller) -> None:
    give("alice", 10)
    single = service.post("use", of("alice", 2, idempotencyKey="k1")).json()

    (outcome,) = send(service, of("alice", 2, idempotencyKey="k1"))
    send(service, of("alice", 3, idempotencyKey="k2"))
    after = service.post("use", of("alice", 3, idempotencyKey="k2")).json()

    assert outcome == {"outcome": "replayed", **single, "message": after["message"]}
    assert after["message"] == "Transaction already processed"
    assert Balance.objects.get(pk="alice").posted == 5


def test_one_key_twice_in_a_batch_spends_once(service: Caller) -> None:
    give("alice", 10)
    give("bob", 10)

    outcomes = send(
        service,
        of("alice", 2, idempotencyKey="k1"),
        of("alice", 2, idempotencyKey="k1"),
        of("alice", 3, idempotencyKey="k1"),
        of("bob", 2, idempotencyKey="k1"),
    )

    assert [one["outcome"] for one in outcomes] == ["posted", "replayed", "refused", "posted"]
    assert outcomes[1]["transaction"] == outcomes[0]["transaction"]
    assert outcomes[2] == REUSED
    assert Balance.objects.get(pk="alice").posted == 8
    assert IdempotencyKey.objects.count() == 2


def test_a_refused_item_leaves_its_key_to_the_next(service: Caller) -> None:
    give("alice", 2)

    first, second = send(
        service,
        of("alice", 3, idempotencyKey="k1"),
        of("alice", 2, idempotencyKey="k1"),
    )

    assert (first["code"], second["outcome"]) == ("insufficient_credits", "posted")
    assert Balance.objects.get(pk="alice").posted == 0


def test_operations_have_the_price_of_the_catalogue(service: Caller) -> None:
    give("alice", 100)
    catalogue.set_price("ai_chat_gpt4", Price(Decimal("0.1"), 10), actor="operator:anna", now=NOW)

    outcomes = send(
        service, by("alice", "ai_chat_gpt4", 21), by("alice", "teleport"), by("eve", "x")
    )

    assert outcomes[0]["transaction"]["amount"] == -0.3
    row = Transaction.objects.get(type="usage")
    assert (row.operation, row.unit_cost, row.quantity) == ("ai_chat_gpt4", Decimal("0.1"), 21)
    assert [one["code"] for one in outcomes[1:]] == ["unknown_operation"] * 2
    assert [one["statusCode"] for one in outcomes[1:]] == [400, 400]


def test_an_invalid_item_is_refused_alone(service: Caller) -> None:
    give("alice", 10)

    outcomes = send(service, of("", 1), 7, of("alice", 0.12345), of("alice", 1), {"userId": "a"})

    assert [one["outcome"] for one in outcomes] == ["refused"] * 3 + ["posted", "refused"]
    assert outcomes[0] == {
        "outcome": "refused",
        "success": False,
        "statusCode": 400,
        "message": "Validation failed",
        "code": "validation_failed",
        "details": {"userId": ["This field may not be blank."]},
    }
    assert set(outcomes[4]["details"]) == {"amount", "appId", "description"}
    assert Balance.objects.get(pk="alice").posted == 9


@pytest.mark.parametrize("items", [None, {}, [], "x", [of("alice")] * 1001])
def test_a_batch_has_one_to_a_thousand_items(service: Caller, items: Any) -> None:
    give("alice", 10)

    answer = service.post("use/batch", {"items": items})

    assert answer.status_code == 400
    assert set(answer.json()["details"]) == {"items"}
    assert Balance.objects.get(pk="alice").posted == 10


def test_a_key_for_the_whole_batch_is_refused(service: Caller) -> None:
    answer = service.post("use/batch", {"items": [of("alice")]}, {"Idempotency-Key": "k1"})

    assert answer.status_code == 400
    assert set(answer.json()["details"]) == {"Idempotency-Key"}

    answer = service.post("use/batch", {"items": [of("alice")], "idempotencyKey": "k1"})

    assert answer.status_code == 400
    assert set(answer.json()["details"]) == {"idempotencyKey"}


def test_users_have_no_batch(alice: Caller) -> None:
    answer = alice.post("/api/v1/internal/credits/use/batch", {"items": [of("alice")]})

    assert answer.status_code == 401


def test_a_thousand_items_are_one_statement(service: Caller) -> None:
    for number in range(10):
        give(f"user-{number}", 1000)

    with (
        patch.object(db_functions, "server_cursor", wraps=db_functions.server_cursor) as opened,
        CaptureQueriesContext(connection) as others,
    ):
        outcomes = send(service, *(of(f"user-{number % 10}", 1) for number in range(1000)))

    assert {one["outcome"] for one in outcomes} == {"posted"}
    assert (opened.call_count, len(others)) == (1, 0)
    assert {row.posted for row in Balance.objects.all()} == {900}
    assert {row.transactions for row in UsageStat.objects.all()} == {100}


def test_totals_of_fifteen_digits_are_the_end(service: Caller) -> None:
    give("alice", LARGEST)
    ledger.spend("alice", LARGEST, memo=Memo(), origin=Origin("user"))
    give("bob", LARGEST)

    outcomes = send(service, of("bob", 99999999999.9999), of("alice", 1))

    assert outcomes[0]["newBalance"]["totalSpent"] == 99999999999.9999
    assert outcomes[1]["code"] == "insufficient_credits"
    assert {row.posted for row in Balance.objects.all()} == {0}


def test_a_refused_item_has_the_error_that_use_answers(service: Caller) -> None:
    give("alice", 10)
    items = [
        by("alice", "no_such_operation"),
        by("alice", "ai_chat_gpt4") | {"units": {"inputTokens": 1}},
        of("alice", 11),
        of("alice", 0),
        [],
    ]

    outcomes = send(service, *items)

    for item, outcome in zip(items, outcomes, strict=True):
        assert (outcome.pop("outcome"), outcome.pop("success")) == ("refused", False)
        assert outcome == service.post("use", item).json()
