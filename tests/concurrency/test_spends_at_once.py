"""Concurrent requests of one user, on real threads and connections."""

from decimal import Decimal

import pytest

from credits.models import Balance, Transaction, UsageStat
from tests.api import Caller, at_once, statuses, use
from tests.environment import PROVIDER
from tests.factories import give

pytestmark = pytest.mark.usefixtures("committed")


def test_fifty_uses_on_twenty_five_credits_spend_exactly_those(service: Caller) -> None:
    give("alice", 25)

    answers = at_once(50, lambda _: service.post("use", use(1, userId="alice")))

    assert statuses(answers) == {200: 25, 402: 25}
    balance = Balance.objects.get(pk="alice")
    assert (balance.posted, balance.total_spent, balance.last_number) == (0, 25, 26)
    stat = UsageStat.objects.get(user_id="alice")
    assert (stat.credits_used, stat.transactions) == (25, 25)


def test_twenty_uses_with_one_key_spend_once(service: Caller) -> None:
    give("alice", 100)

    answers = at_once(
        20, lambda _: service.post("use", use(5, userId="alice", idempotencyKey="k1"))
    )

    assert statuses(answers) == {200: 20}
    bodies = [answer.json() for answer in answers]
    assert len({body["transaction"]["id"] for body in bodies}) == 1
    assert sum("message" in body for body in bodies) == 19
    assert Balance.objects.get(pk="alice").posted == 95
    assert Transaction.objects.filter(type="usage").count() == 1


def test_one_key_with_two_amounts_at_once_spends_one_of_them(service: Caller) -> None:
    give("alice", 100)

    answers = at_once(
        20, lambda i: service.post("use", use(1 + i % 2, userId="alice", idempotencyKey="k1"))
    )

    assert statuses(answers) == {200: 10, 409: 10}
    spent = Balance.objects.get(pk="alice").total_spent
    assert spent in {Decimal(1), Decimal(2)}
    assert Transaction.objects.get(type="usage").amount == -spent


def test_the_same_key_of_twenty_users_spends_twenty_times(service: Caller) -> None:
    users = [f"user-{index}" for index in range(20)]
    for user_id in users:
        give(user_id, 10)

    answers = at_once(
        20, lambda i: service.post("use", use(3, userId=users[i], idempotencyKey="same"))
    )

    assert statuses(answers) == {200: 20}
    assert {answer.json()["transaction"]["userId"] for answer in answers} == set(users)
    assert set(Balance.objects.values_list("posted", flat=True)) == {Decimal(7)}


def test_a_hot_user_gets_no_error_at_sixty_four_connections(service: Caller) -> None:
    give("alice", 1000)

    answers = at_once(
        60,
        lambda _: [service.post("use", use(0.1, userId="alice")).status_code for _ in range(5)],
    )

    assert {status for statuses_ in answers for status in statuses_} == {200}
    assert Balance.objects.get(pk="alice").posted == 970


def test_twenty_first_looks_at_a_balance_all_succeed() -> None:
    users = [f"new-{index}" for index in range(10)]

    answers = at_once(40, lambda i: Caller.with_token(PROVIDER.token(users[i % 10])).get("balance"))

    assert statuses(answers) == {200: 40}
    assert {answer.content for answer in answers} == {
        b'{"balance":0,"totalEarned":0,"totalSpent":0,"held":0,"expiring":[]}'
    }
    assert not Balance.objects.exists()


def test_twenty_inits_of_a_new_user_make_one_row(service: Caller) -> None:
    answers = at_once(20, lambda _: service.post("init", {"userId": "new"}))

    assert statuses(answers) == {200: 20}
    assert len({answer.content for answer in answers}) == 1
    assert Balance.objects.get().version == 0
