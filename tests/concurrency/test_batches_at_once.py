"""Concurrent batches and single spends of the same users: no double spend, no deadlock."""

import random
from typing import Any

import pytest

from credits.models import Balance, IdempotencyKey, Transaction
from tests.api import Caller, at_once, use
from tests.factories import give

pytestmark = pytest.mark.usefixtures("committed")

USERS = [f"user-{number}" for number in range(12)]


def test_the_same_batch_ten_times_at_once_spends_once(service: Caller) -> None:
    for user_id in USERS:
        give(user_id, 100)
    items = [
        use(1, userId=user_id, idempotencyKey=f"k{number}")
        for user_id in USERS
        for number in range(5)
    ]

    def act(index: int) -> Any:
        mine = random.Random(index).sample(items, len(items))
        return service.post("use/batch", {"items": mine}).json()["items"]

    answers = at_once(10, act)

    outcomes = [item["outcome"] for answer in answers for item in answer]
    assert outcomes.count("posted") == 60
    assert outcomes.count("replayed") == 540
    assert {balance.posted for balance in Balance.objects.all()} == {95}
    assert IdempotencyKey.objects.count() == Transaction.objects.filter(type="usage").count() == 60


def test_batches_and_single_spends_at_once_spend_what_is_there(service: Caller) -> None:
    for user_id in USERS:
        give(user_id, 10)

    def act(index: int) -> Any:
        chance = random.Random(index)
        if index % 3 == 0:
            user_id = chance.choice(USERS)
            posted = service.post("use", use(1, userId=user_id)).status_code == 200
            return [user_id] if posted else []
        users = [chance.choice(USERS) for _ in range(40)]
        items = [use(1, userId=user_id) for user_id in users]
        answer = service.post("use/batch", {"items": items}).json()["items"]
        return [
            user_id
            for user_id, one in zip(users, answer, strict=True)
            if one["outcome"] == "posted"
        ]

    spent = [user_id for users in at_once(18, act) for user_id in users]

    for balance in Balance.objects.all():
        assert balance.total_spent == spent.count(balance.user_id)
        assert balance.posted == 10 - balance.total_spent >= 0
    assert len(spent) == Transaction.objects.filter(type="usage").count()
