"""Concurrent batches and single spends of the same users: no double spend, no deadlock."""

import random
import time
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from django.db import connection, transaction

from credits.models import Balance, IdempotencyKey, Transaction
from tests.api import Caller, at_once, use
from tests.factories import give, hold
from tests.owner import as_owner

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


def in_a_thread(pool: ThreadPoolExecutor, act: Any) -> Future[Any]:
    def one() -> Any:
        try:
            return act()
        finally:
            connection.close()

    return pool.submit(one)


def until_it_waits_or_ends(batch: Future[Any]) -> None:
    """Return when the batch waits for a lock, or has its answer."""
    with connection.cursor() as cursor:
        for _ in range(500):
            cursor.execute("SELECT FROM pg_locks WHERE NOT granted")
            if cursor.rowcount or batch.done():
                return
            time.sleep(0.01)
    raise AssertionError("the batch neither waits nor ends")


def test_credits_that_come_and_are_held_while_a_batch_waits_are_not_spent(service: Caller) -> None:
    give("zoe", 10)
    items = [use(10, userId="amy"), use(1, userId="zoe")]
    held, committed = Event(), Event()

    def first_credits_of_amy() -> None:
        give("amy", 10)
        with transaction.atomic():
            hold("amy", 10)
            held.set()
            committed.wait(10)

    with ThreadPoolExecutor(2) as pool:
        with transaction.atomic():
            with as_owner():
                Balance.objects.select_for_update().get(pk="zoe")
            # The batch finds no balance of Amy, and waits for Zoe's.
            batch = in_a_thread(pool, lambda: service.post("use/batch", {"items": items}).json())
            until_it_waits_or_ends(batch)
            amy = in_a_thread(pool, first_credits_of_amy)
            held.wait(10)
        until_it_waits_or_ends(batch)
        committed.set()
        amy.result()
        outcomes = [item["outcome"] for item in batch.result()["items"]]

    assert outcomes == ["refused", "posted"]
    balance = Balance.objects.get(pk="amy")
    assert (balance.posted, balance.held) == (10, 10)
