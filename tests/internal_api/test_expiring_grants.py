"""Grants with `expiresAt`, and what the balance tells of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from credits.models import Balance, CreditLot, Transaction
from tests.api import Caller
from tests.factories import give, hold, lapse, spend

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC).replace(microsecond=0)
SOON = NOW + timedelta(days=3)
LATER = NOW + timedelta(days=30)


def wire(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def grant(**fields: Any) -> dict[str, Any]:
    usual = {"userId": "alice", "amount": 10, "reason": "welcome", "referenceId": "r1"}
    return {**usual, "expiresAt": wire(SOON), **fields}


def test_a_service_grants_credits_that_expire(service: Caller, alice: Caller) -> None:
    answer = service.post("grant", grant())

    assert answer.status_code == 200
    assert (answer.json()["alreadyGranted"], answer.json()["newBalance"]) == (False, 10)
    assert CreditLot.objects.get().expires_at == SOON
    assert alice.get("balance").json() == {
        "balance": 10,
        "totalEarned": 10,
        "totalSpent": 0,
        "held": 0,
        "expiring": [{"amount": 10, "at": wire(SOON)}],
    }


@pytest.mark.parametrize("fields", [{"expiresAt": None}, {}])
def test_a_grant_without_an_expiry_never_expires(
    service: Caller, alice: Caller, fields: dict[str, Any]
) -> None:
    body = {name: value for name, value in grant().items() if name != "expiresAt"}

    service.post("grant", {**body, **fields})

    assert not CreditLot.objects.exists()
    assert alice.get("balance").json()["expiring"] == []


@pytest.mark.parametrize(
    "expires_at",
    [NOW - timedelta(days=1), NOW, NOW + timedelta(days=3651)],
    ids=["past", "now", "far"],
)
def test_credits_expire_in_the_future_and_within_ten_years(
    service: Caller, expires_at: datetime
) -> None:
    answer = service.post("grant", grant(expiresAt=wire(expires_at)))

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_credit_expiry")
    assert list(answer.json()["details"]) == ["expiresAt"]
    assert not Balance.objects.exists()


def test_a_known_user_gets_no_credits_that_expired_before(service: Caller) -> None:
    give("alice", 1)

    answer = service.post("grant", grant(expiresAt=wire(NOW)))

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_credit_expiry")
    assert Transaction.objects.count() == 1


def test_a_retry_after_the_expiry_is_answered_as_before(service: Caller) -> None:
    body = grant(expiresAt=wire(LATER), idempotencyKey="k")
    first = service.post("grant", body)
    lapse("alice")

    again = service.post("grant", body)

    assert first.json()["newBalance"] == 10
    assert again.json() == {**first.json(), "alreadyGranted": True, "newBalance": 0}


def test_the_same_key_with_another_expiry_is_another_request(service: Caller) -> None:
    service.post("grant", grant(idempotencyKey="k"))

    other = service.post("grant", grant(idempotencyKey="k", expiresAt=wire(LATER)))
    never = service.post("grant", grant(idempotencyKey="k", expiresAt=None))

    assert [other.status_code, never.status_code] == [409, 409]


def test_the_balance_tells_what_expires_and_when(service: Caller, alice: Caller) -> None:
    give("alice", 5)
    give("alice", 2, expires_at=LATER)
    give("alice", 3, expires_at=SOON)
    give("alice", 1, expires_at=LATER)
    spend("alice", 1)
    hold("alice", 1)

    expiring = [{"amount": 1, "at": wire(SOON)}, {"amount": 3, "at": wire(LATER)}]
    assert alice.get("balance").json()["expiring"] == expiring
    assert service.get("balance/alice").json()["expiring"] == expiring


def test_the_balance_shows_no_credits_that_have_expired(alice: Caller) -> None:
    give("alice", 5)
    give("alice", 3, expires_at=LATER)
    lapse("alice")

    answer = alice.get("balance").json()

    assert answer == {
        "balance": 5, "totalEarned": 5, "totalSpent": 0, "held": 0, "expiring": [],
    }  # fmt: skip
    assert not Transaction.objects.filter(type="expiry").exists()
    assert alice.post("use", {"amount": 6, "appId": "chat", "description": "x"}).status_code == 402
    assert alice.get("balance").json() == answer


def test_lists_files_and_statements_show_an_expiry(alice: Caller) -> None:
    give("alice", 5)
    give("alice", 3, expires_at=LATER)
    lapse("alice")
    spend("alice", 1)

    (listed,) = alice.get("transactions?type=expiry").json()
    file = alice.get("transactions.csv?type=expiry").getvalue().decode().splitlines()
    month = f"{datetime.now(UTC):%Y-%m}"
    statement = alice.get(f"statements/{month}").json()["statement"]

    assert (listed["type"], listed["amount"], listed["balanceAfter"]) == ("expiry", -3, 5)
    assert (listed["appId"], listed["description"]) == ("system", "Credits expired")
    assert len(file) == 2
    assert '"expiry"' in file[1]
    assert [one["type"] for one in statement["movements"]] == ["grant", "grant", "expiry", "usage"]
    assert (statement["opening"], statement["closing"]) == (0, 4)
