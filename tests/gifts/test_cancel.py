"""Creators cancel gifts that nobody has redeemed."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from credits.ledger import ledger
from credits.ledger.posting import Memo
from credits.models import Balance, Transaction
from gifts.models import GiftCode, GiftRedemption
from tests.api import Caller, at_once
from tests.factories import SYSTEM, gift, give, redeem

pytestmark = pytest.mark.django_db


def test_the_credits_come_back_and_lower_what_was_spent(ivan: Caller) -> None:
    give("ivan", 100)
    made = gift("ivan", "9.0001")

    answer = ivan.delete(f"{made.pk}")

    assert answer.status_code == 200
    assert answer.json() == {"success": True, "refundedCredits": 9.0001}
    balance = Balance.objects.get(pk="ivan")
    assert [balance.posted, balance.total_earned, balance.total_spent] == [100, 100, 0]
    entry = Transaction.objects.get(cause=f"gift:{made.pk}")
    assert (entry.amount, entry.type, entry.related_id) == (
        Decimal("9.0001"),
        "gift",
        made.payment_id,
    )
    assert GiftCode.objects.get().status == "cancelled"


def test_a_gift_is_cancelled_once(ivan: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan")
    ivan.delete(f"{made.pk}")

    answer = ivan.delete(f"{made.pk}")

    assert answer.status_code == 400
    assert answer.json()["details"] == {"status": "cancelled"}
    assert Balance.objects.get(pk="ivan").posted == 10


def test_a_cancellation_with_a_key_answers_the_same_again(ivan: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan")
    ivan.headers["Idempotency-Key"] = "k1"

    answers = [ivan.delete(f"{made.pk}") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert Balance.objects.get(pk="ivan").posted == 10


def test_a_redeemed_gift_is_not_cancelled(ivan: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan")
    redeem(made, "judy")

    answer = ivan.delete(f"{made.pk}")

    assert answer.status_code == 400
    assert answer.json()["details"] == {"status": "depleted"}
    assert Balance.objects.get(pk="ivan").posted == 0


def test_nobody_cancels_somebody_elses_gift(judy: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan")

    answers = [judy.delete(f"{made.pk}"), judy.delete(f"{uuid4()}")]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert GiftCode.objects.get().status == "active"


def test_a_gift_is_named_by_its_id(ivan: Caller) -> None:
    give("ivan", 10)
    made = gift("ivan")

    answer = ivan.delete(made.code)

    assert answer.status_code == 400
    assert list(answer.json()["details"]) == ["id"]


def test_without_a_token_nothing_is_cancelled(anonymous: Caller) -> None:
    answer = anonymous.delete(f"/api/v1/gifts/{uuid4()}")

    assert answer.status_code == 401


@pytest.mark.usefixtures("committed")
def test_cancel_against_redeem_gives_the_credits_to_exactly_one(ivan: Caller, judy: Caller) -> None:
    give("ivan", 100)
    made = [gift("ivan", 10) for _ in range(10)]

    def act(index: int) -> Any:
        one = made[index // 2]
        return judy.post(f"{one.code}/redeem", {}) if index % 2 else ivan.delete(f"{one.pk}")

    answers = at_once(20, act)

    for cancelled, redeemed in zip(answers[::2], answers[1::2], strict=True):
        assert sorted([cancelled.status_code, redeemed.status_code]) == [200, 400]
    won = sum(answer.status_code == 200 for answer in answers[1::2])
    balances = dict(Balance.objects.values_list("pk", "posted"))
    assert balances["ivan"] == 100 - 10 * won
    assert balances.get("judy", 0) == 10 * won


def test_a_gift_is_not_reversed_behind_its_back() -> None:
    give("ivan", 10)
    made = gift("ivan")

    with pytest.raises(ledger.NotReversible):
        ledger.reverse(made.payment_id, memo=Memo(), origin=SYSTEM)
    assert Balance.objects.get(pk="ivan").posted == 0


@pytest.mark.parametrize(
    "change",
    [
        {"status": "active"},
        {"status": "expired"},
        {"total_credits": 5},
        {"creator_id": "mallory"},
        {"target_email": "mallory@example.test"},
    ],
)
def test_a_final_state_is_final(change: dict[str, Any]) -> None:
    give("ivan", 10)
    made = gift("ivan")
    redeem(made, "judy")

    refused = pytest.raises(IntegrityError, match="status of a gift may change, and only once")
    with refused, transaction.atomic():
        GiftCode.objects.filter(pk=made.pk).update(**change)


@pytest.mark.parametrize(
    "change", [{"total_credits": 5}, {"creator_id": "mallory"}, {"message": "other"}]
)
def test_an_active_gift_changes_nothing_but_its_state(change: dict[str, Any]) -> None:
    give("ivan", 10)
    made = gift("ivan")

    with pytest.raises(IntegrityError, match="only the status of a gift"), transaction.atomic():
        GiftCode.objects.filter(pk=made.pk).update(**change)


def test_redemptions_and_gifts_are_never_deleted() -> None:
    give("ivan", 10)
    redeem(gift("ivan"), "judy")

    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        GiftRedemption.objects.update(redeemer_id="mallory")
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        GiftRedemption.objects.all()._raw_delete("default")
    with pytest.raises(IntegrityError, match="only the status of a gift"), transaction.atomic():
        GiftCode.objects.all()._raw_delete("default")
