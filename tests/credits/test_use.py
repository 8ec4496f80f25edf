"""Users spend credits in an app."""

from decimal import Decimal

import pytest

from credits.models import Balance, Transaction
from tests.api import Caller, use
from tests.factories import give

pytestmark = pytest.mark.django_db


def test_a_spend_moves_the_balance_and_says_so(alice: Caller) -> None:
    give("alice", 10_000)

    answer = alice.post("use", use(2, idempotencyKey="k1", metadata={"model": "gpt-4"}))

    assert answer.status_code == 200
    body = answer.json()
    transaction = body.pop("transaction")
    assert body == {
        "success": True,
        "newBalance": {"balance": 9998, "totalEarned": 10_000, "totalSpent": 2},
    }
    row = Transaction.objects.get(pk=transaction.pop("id"))
    at = row.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert transaction == {
        "userId": "alice",
        "type": "usage",
        "status": "completed",
        "amount": -2,
        "balanceBefore": 10_000,
        "balanceAfter": 9998,
        "appId": "chat",
        "description": "GPT-4 message",
        "metadata": {"model": "gpt-4"},
        "idempotencyKey": "k1",
        "createdAt": at,
        "completedAt": at,
    }
    assert (row.actor, row.number, row.request_id) == ("user", 2, answer["X-Request-Id"])


def test_a_tenth_of_a_credit_spent_ten_times_is_exactly_one(alice: Caller) -> None:
    give("alice", 1)

    balances = [alice.post("use", use(0.1)).json()["newBalance"]["balance"] for _ in range(10)]

    assert balances == [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0]
    assert Balance.objects.get(pk="alice").total_spent == Decimal(1)


def test_nobody_spends_what_they_do_not_have(alice: Caller) -> None:
    give("alice", 2.5)

    answer = alice.post("use", use(3))

    assert answer.status_code == 402
    assert answer.json() == {
        "statusCode": 402,
        "message": "Insufficient credits",
        "code": "insufficient_credits",
        "details": {"required": 3, "available": 2.5},
    }
    assert Transaction.objects.filter(type="usage").count() == 0


def test_a_user_never_seen_has_nothing_to_spend(alice: Caller) -> None:
    answer = alice.post("use", use(1))

    assert answer.status_code == 402
    assert answer.json()["details"] == {"required": 1, "available": 0}
    assert not Balance.objects.exists()
