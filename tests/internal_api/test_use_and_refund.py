"""Services spend and refund a user's credits."""

from typing import Any
from uuid import uuid4

import pytest

from credits.models import Balance, Transaction
from tests.api import Caller, use
from tests.factories import give, hold, spend

pytestmark = pytest.mark.django_db

REUSED = {
    "statusCode": 409,
    "message": "This idempotency key was used for another request",
    "code": "idempotency_key_reused",
}


def refund(amount: float = 1, **fields: Any) -> dict[str, Any]:
    return {"userId": "alice", "amount": amount, "description": "it failed", **fields}


def test_a_service_spends_for_a_user_and_is_named_as_the_actor(service: Caller) -> None:
    give("alice", 10)

    answer = service.post(
        "use", use(2.5, userId="alice", metadata={"n": 1.5}), {"X-App-Id": "mana-llm"}
    )

    assert answer.status_code == 200
    body = answer.json()
    row = Transaction.objects.get(pk=body["transaction"].pop("id"))
    at = row.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert body == {
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
            "idempotencyKey": None,
            "createdAt": at,
            "completedAt": at,
        },
        "newBalance": {"balance": 7.5, "totalEarned": 10, "totalSpent": 2.5},
    }
    assert (row.actor, row.request_id) == ("service:mana-llm", answer["X-Request-Id"])


def test_a_service_without_a_name_is_just_a_service(service: Caller) -> None:
    give("alice", 10)

    service.post("use", use(1, userId="alice"))

    assert Transaction.objects.get(type="usage").actor == "service"


@pytest.mark.parametrize("name", ["x" * 101, "tab\there"])
def test_a_name_that_no_transaction_could_carry_is_refused(service: Caller, name: str) -> None:
    give("alice", 10)

    answer = service.post("use", use(1, userId="alice"), {"X-App-Id": name})

    assert answer.status_code == 400
    assert list(answer.json()["details"]) == ["appId"]
    assert not Transaction.objects.filter(type="usage").exists()


def test_a_user_never_seen_has_nothing_to_spend(service: Caller) -> None:
    answer = service.post("use", use(3, userId="nobody"))

    assert answer.status_code == 402
    assert answer.json()["details"] == {"required": 3, "available": 0}
    assert not Balance.objects.exists()


@pytest.mark.parametrize("by_header", [True, False], ids=["header", "body"])
def test_the_same_key_spends_once(service: Caller, by_header: bool) -> None:
    give("alice", 10)
    headers = {"Idempotency-Key": "k1"} if by_header else {}
    body = use(2, userId="alice") if by_header else use(2, userId="alice", idempotencyKey="k1")

    first = service.post("use", body, headers).json()
    again = service.post("use", {**body, "description": "said otherwise"}, headers).json()

    assert first["transaction"]["idempotencyKey"] == "k1"
    assert again == {**first, "message": "Transaction already processed"}
    assert Balance.objects.get(pk="alice").posted == 8


def test_a_key_is_the_same_in_the_header_and_in_the_body(service: Caller) -> None:
    give("alice", 10)

    service.post("use", use(2, userId="alice", idempotencyKey="k1"))
    again = service.post("use", use(2, userId="alice"), {"Idempotency-Key": "k1"})

    assert again.json()["message"] == "Transaction already processed"
    assert Transaction.objects.filter(type="usage").count() == 1


def test_a_replay_shows_the_balance_as_it_is_now(service: Caller) -> None:
    give("alice", 10)
    body = use(2, userId="alice", idempotencyKey="k1")
    first = service.post("use", body).json()
    spend("alice", 5)

    again = service.post("use", body).json()

    assert again["transaction"] == first["transaction"]
    assert again["newBalance"] == {"balance": 3, "totalEarned": 10, "totalSpent": 7}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("use", use(3, userId="alice")),
        ("use", use(2, userId="alice", appId="picture")),
        ("refund", refund(2, appId="chat")),
        ("reserve", {"userId": "alice", "amount": 2, "reason": "chat"}),
        ("grant", {"userId": "alice", "amount": 2, "reason": "r", "referenceId": "1"}),
    ],
    ids=["amount", "app", "refund", "reserve", "grant"],
)
def test_a_key_names_one_request_only(service: Caller, path: str, body: Any) -> None:
    give("alice", 10)
    service.post("use", use(2, userId="alice", idempotencyKey="k1"))

    answer = service.post(path, {**body, "idempotencyKey": "k1"})

    assert answer.status_code == 409
    assert answer.json() == REUSED
    balance = Balance.objects.get(pk="alice")
    assert (balance.posted, balance.held, balance.last_number) == (8, 0, 2)


def test_a_key_of_a_spend_settles_no_reservation(service: Caller) -> None:
    give("alice", 10)
    held = hold("alice", 4)
    service.post("use", use(2, userId="alice", idempotencyKey="k1"))

    body = {"reservationId": str(held.pk), "idempotencyKey": "k1"}
    answers = [service.post("commit", body), service.post("refund-reservation", body)]

    assert [(answer.status_code, answer.json()) for answer in answers] == [(409, REUSED)] * 2
    assert Balance.objects.get(pk="alice").held == 4


def test_an_empty_key_counts_as_no_key(service: Caller) -> None:
    """In the earlier service, an empty key worked once and then caused 500 for everybody."""
    give("alice", 10)

    in_body = [service.post("use", use(1, userId="alice", idempotencyKey="")) for _ in range(2)]
    in_header = [
        service.post("use", use(1, userId="alice"), {"Idempotency-Key": ""}) for _ in range(2)
    ]

    answers = [answer.json() for answer in in_body + in_header]
    assert [answer["newBalance"]["balance"] for answer in answers] == [9, 8, 7, 6]
    assert {answer["transaction"]["idempotencyKey"] for answer in answers} == {None}


def test_keys_are_the_users_own(service: Caller) -> None:
    """The earlier service returned the first user's transaction to the second user."""
    give("alice", 10)
    give("bob", 20)

    service.post("use", use(2, userId="alice", idempotencyKey="k1"))
    bobs = service.post("use", use(2, userId="bob", idempotencyKey="k1")).json()

    assert "message" not in bobs
    assert bobs["transaction"]["userId"] == "bob"
    assert bobs["newBalance"] == {"balance": 18, "totalEarned": 20, "totalSpent": 2}


def test_a_refund_gives_used_credits_back(service: Caller) -> None:
    """A refund lowers `totalSpent`. In the earlier service it raised `totalEarned`."""
    give("alice", 200)
    spend("alice", 5)

    answer = service.post("refund", refund(2), {"X-App-Id": "mana-llm"})

    assert answer.status_code == 200
    body = answer.json()
    row = Transaction.objects.get(pk=body["transaction"].pop("id"))
    at = row.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert body == {
        "success": True,
        "transaction": {
            "userId": "alice",
            "type": "refund",
            "status": "completed",
            "amount": 2,
            "balanceBefore": 195,
            "balanceAfter": 197,
            "appId": "system",
            "description": "it failed",
            "metadata": None,
            "idempotencyKey": None,
            "createdAt": at,
            "completedAt": at,
        },
        "newBalance": {"balance": 197},
    }
    assert (row.actor, row.related_id) == ("service:mana-llm", None)
    balance = Balance.objects.get(pk="alice")
    assert (balance.total_earned, balance.total_spent) == (200, 3)


def test_what_a_refund_has_beyond_what_was_spent_counts_as_earned(service: Caller) -> None:
    give("alice", 100)
    spend("alice", 5)

    service.post("refund", refund(8))

    balance = Balance.objects.get(pk="alice")
    assert (balance.posted, balance.total_earned, balance.total_spent) == (103, 103, 0)


def test_the_same_key_refunds_once(service: Caller) -> None:
    """Refunds were not idempotent in the earlier service."""
    give("alice", 100)
    spend("alice", 5)
    body = refund(2, idempotencyKey="r1")

    answers = [service.post("refund", body).json() for _ in range(3)]

    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["newBalance"] == {"balance": 97}
    assert Transaction.objects.filter(type="refund").count() == 1


def test_a_usage_is_given_back_at_most_once_in_sum(service: Caller) -> None:
    give("alice", 100)
    usage_id = str(spend("alice", 5).transaction.pk)

    first = service.post("refund", refund(3, transactionId=usage_id))
    too_much = service.post("refund", refund(2.0001, transactionId=usage_id))
    rest = service.post("refund", refund(2, transactionId=usage_id))
    more = service.post("refund", refund(0.0001, transactionId=usage_id))

    answers = [first, too_much, rest, more]
    assert [answer.status_code for answer in answers] == [200, 400, 200, 400]
    assert {too_much.json()["code"], more.json()["code"]} == {"exceeds_original"}
    assert Balance.objects.get(pk="alice").posted == 100


def test_a_refund_of_a_usage_is_linked_to_it(service: Caller) -> None:
    give("alice", 100)
    usage = spend("alice", 5).transaction

    service.post("refund", refund(5, transactionId=str(usage.pk)))

    assert Transaction.objects.get(type="refund").related == usage


def test_only_the_users_own_usages_are_refunded(service: Caller) -> None:
    grant = give("alice", 100).transaction
    give("bob", 100)
    bobs = spend("bob", 5).transaction

    answers = [
        service.post("refund", refund(1, transactionId=str(other)))
        for other in (grant.pk, bobs.pk, uuid4())
    ]

    expected = {
        "statusCode": 404,
        "message": "Transaction not found",
        "code": "transaction_not_found",
    }
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert [answer.json() for answer in answers] == [expected] * 3
    assert not Transaction.objects.filter(type="refund").exists()


def test_a_user_never_seen_gets_no_refund(service: Caller) -> None:
    answer = service.post("refund", refund(1))

    assert answer.status_code == 404
    assert answer.json()["code"] == "user_not_found"
    assert not Balance.objects.exists()


@pytest.mark.parametrize("usage_id", ["not-a-uuid", 5, {}, True])
def test_an_ill_formed_transaction_id_is_refused(service: Caller, usage_id: object) -> None:
    give("alice", 10)

    answer = service.post("refund", refund(1, transactionId=usage_id))

    assert answer.status_code == 400
    assert list(answer.json()["details"]) == ["transactionId"]


@pytest.mark.parametrize("amount", [b"1e1000000", b"1e-1000100", b"1E400", b"-1e999999999"])
def test_an_amount_beyond_all_numbers_is_refused(service: Caller, amount: bytes) -> None:
    give("alice", 10)
    body = b'{"userId":"alice","appId":"chat","description":"x","amount":' + amount + b"}"

    answer = service.post("use", body)

    assert answer.status_code == 400
    assert list(answer.json()["details"]) == ["amount"]
