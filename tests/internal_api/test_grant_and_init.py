"""Services grant credits and create balances."""

from typing import Any

import pytest

from credits.models import Balance, Transaction
from tests.api import Caller, use
from tests.factories import give, hold, spend

pytestmark = pytest.mark.django_db


def grant(amount: float = 100, **fields: Any) -> dict[str, Any]:
    return {
        "userId": "alice",
        "amount": amount,
        "reason": "welcome",
        "referenceId": "signup",
        **fields,
    }


def test_a_grant_gives_credits_to_a_user_never_seen(service: Caller) -> None:
    answer = service.post("grant", grant(100, description="Hello"), {"X-App-Id": "mana-auth"})

    row = Transaction.objects.get()
    assert answer.status_code == 200
    assert answer.json() == {
        "ok": True,
        "alreadyGranted": False,
        "newBalance": 100,
        "transactionId": str(row.pk),
    }
    assert (row.type, row.amount, row.number) == ("grant", 100, 1)
    assert (row.actor, row.description, row.app_id) == ("service:mana-auth", "Hello", "community")
    assert row.metadata == {"reason": "welcome", "referenceId": "signup"}
    balance = Balance.objects.get(pk="alice")
    assert (balance.posted, balance.total_earned, balance.total_spent) == (100, 100, 0)


def test_a_grant_without_a_description_says_its_reason(service: Caller) -> None:
    service.post("grant", grant())
    service.post("grant", grant(referenceId="2", description=None))

    assert set(Transaction.objects.values_list("description", flat=True)) == {"Reward: welcome"}


def test_one_reference_gives_once(service: Caller) -> None:
    first = service.post("grant", grant(100)).json()
    spend("alice", 30)

    again = service.post("grant", grant(500, reason="other")).json()

    assert again == {**first, "alreadyGranted": True, "newBalance": 70}
    assert Transaction.objects.filter(type="grant").count() == 1


def test_references_are_the_users_own(service: Caller) -> None:
    service.post("grant", grant(100))

    bobs = service.post("grant", grant(50, userId="bob")).json()

    assert (bobs["alreadyGranted"], bobs["newBalance"]) == (False, 50)


def test_references_of_users_with_colons_are_their_own(service: Caller) -> None:
    first = service.post("grant", grant(10, userId="a", referenceId="b:c"))
    second = service.post("grant", grant(20, userId="a:b", referenceId="c"))

    assert [first.json()["newBalance"], second.json()["newBalance"]] == [10, 20]


def test_the_longest_user_and_reference_fit(service: Caller) -> None:
    body = grant(1, userId="u" * 255, referenceId="r" * 128, reason="w" * 64)

    answer = service.post("grant", body)

    assert answer.status_code == 200
    assert Balance.objects.get().pk == "u" * 255


def test_the_same_key_grants_once_and_names_one_reference(service: Caller) -> None:
    first = service.post("grant", grant(100, idempotencyKey="g1")).json()

    again = service.post("grant", grant(100, idempotencyKey="g1")).json()
    other = service.post("grant", grant(100, idempotencyKey="g1", referenceId="2"))

    assert again == {**first, "alreadyGranted": True}
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert Balance.objects.get().posted == 100


def test_a_grant_that_makes_a_balance_too_large_is_refused(service: Caller) -> None:
    service.post("grant", grant(99_999_999_999))

    answer = service.post("grant", grant(1, referenceId="2"))

    assert answer.status_code == 400
    assert answer.json() == {
        "statusCode": 400,
        "message": "The balance would become too large",
        "code": "balance_too_large",
        "details": {"amount": ["The balance would become too large"]},
    }
    assert Balance.objects.get().posted == 99_999_999_999


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("userId", ""),
        ("userId", "x" * 256),
        ("userId", "a\nb"),
        ("amount", 0),
        ("amount", -5),
        ("amount", 0.00001),
        ("amount", 100_000_000_000),
        ("amount", "5"),
        ("amount", True),
        ("amount", None),
        ("reason", ""),
        ("reason", "x" * 65),
        ("reason", 5),
        ("referenceId", ""),
        ("referenceId", "x" * 129),
        ("referenceId", "nul\0"),
        ("description", "x" * 501),
        ("idempotencyKey", "x" * 256),
    ],
)
def test_an_invalid_grant_is_refused_by_name(service: Caller, field: str, value: Any) -> None:
    answer = service.post("grant", grant(**{field: value}))

    assert answer.status_code == 400
    assert list(answer.json()["details"]) == [field]
    assert not Balance.objects.exists()


@pytest.mark.parametrize("field", ["userId", "amount", "reason", "referenceId"])
def test_a_grant_names_its_user_amount_reason_and_reference(service: Caller, field: str) -> None:
    body = grant()
    del body[field]

    answer = service.post("grant", body)

    assert answer.status_code == 400
    assert list(answer.json()["details"]) == [field]
    assert not Balance.objects.exists()


def test_init_opens_a_balance_of_zero(service: Caller) -> None:
    answer = service.post("init", {"userId": "new"})

    row = Balance.objects.get()
    at = row.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert answer.status_code == 200
    assert answer.json() == {
        "userId": "new",
        "balance": 0,
        "totalEarned": 0,
        "totalSpent": 0,
        "version": 0,
        "createdAt": at,
        "updatedAt": at,
    }


def test_init_of_a_known_user_answers_the_row_as_it_is(service: Caller) -> None:
    give("alice", 10)
    spend("alice", 2.5)
    hold("alice", 1)

    answer = service.post("init", {"userId": "alice"}).json()

    row = Balance.objects.get()
    assert row.updated_at > row.created_at
    assert (answer["balance"], answer["totalEarned"], answer["totalSpent"]) == (6.5, 10, 2.5)
    assert (answer["version"], row.version) == (3, 3)


def test_init_does_not_care_for_keys(service: Caller) -> None:
    give("alice", 10)
    service.post("use", use(1, userId="alice", idempotencyKey="k1"))

    again = service.post("init", {"userId": "alice"}, {"Idempotency-Key": "k1"})

    assert again.status_code == 200
    assert again.json()["balance"] == 9


@pytest.mark.parametrize("body", [{}, {"userId": ""}, {"userId": 5}, {"userId": "x" * 256}, []])
def test_init_of_nobody_is_refused(service: Caller, body: object) -> None:
    answer = service.post("init", body)

    assert answer.status_code == 400
    assert not Balance.objects.exists()
