"""Concurrent reservations, commits and releases."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from credits.ledger import reservation_expiry
from credits.models import Balance, Reservation, Transaction
from tests.api import Caller, at_once, statuses, use
from tests.factories import give, hold

pytestmark = pytest.mark.usefixtures("committed")


def test_fifty_reserves_on_twenty_five_credits_hold_exactly_those(service: Caller) -> None:
    give("alice", 25)
    body = {"userId": "alice", "amount": 1, "reason": "research:openai"}

    answers = at_once(50, lambda _: service.post("reserve", body))

    assert statuses(answers) == {200: 25, 402: 25}
    balance = Balance.objects.get(pk="alice")
    assert (balance.posted, balance.held, balance.available) == (25, 25, 0)


def test_twenty_reserves_with_one_key_hold_once(service: Caller) -> None:
    give("alice", 25)
    body = {"userId": "alice", "amount": 10, "reason": "research", "idempotencyKey": "r1"}

    answers = at_once(20, lambda _: service.post("reserve", body))

    assert statuses(answers) == {200: 20}
    assert len({answer.json()["reservationId"] for answer in answers}) == 1
    assert Balance.objects.get(pk="alice").held == 10


def test_twenty_commits_of_one_user_all_count(service: Caller) -> None:
    give("alice", 100)
    held = [hold("alice", 5) for _ in range(20)]

    answers = at_once(20, lambda i: service.post("commit", {"reservationId": str(held[i].pk)}))

    assert statuses(answers) == {200: 20}
    balance = Balance.objects.get(pk="alice")
    assert (balance.posted, balance.held, balance.total_spent) == (0, 0, 100)
    # Reports compare both times with the end of a month.
    settled = Reservation.objects.values_list("settled_at", "transaction__created_at")
    assert all(ended == spent for ended, spent in settled)


def test_commit_against_release_exactly_one_wins(service: Caller) -> None:
    give("alice", 100)
    held = hold("alice", 40)
    body = {"reservationId": str(held.pk)}

    answers = at_once(20, lambda i: service.post("commit" if i % 2 else "refund-reservation", body))

    assert statuses(answers) == {200: 10, 409: 10}
    status = Reservation.objects.get().status
    balance = Balance.objects.get(pk="alice")
    assert balance.held == 0
    assert balance.posted == {"committed": 60, "released": 100}[status]
    losers = {answer.json()["code"] for answer in answers if answer.status_code == 409}
    assert losers == {f"reservation_{status}"}


def test_commit_against_expiry_exactly_one_wins(service: Caller) -> None:
    give("alice", 1000)
    held = [hold("alice", 10) for _ in range(20)]
    over = datetime.now(UTC) + timedelta(days=2)

    def act(index: int) -> int:
        if index == 0:
            return list(reservation_expiry.expire_due(now=over, limit=100)).count("expired")
        body = {"reservationId": str(held[index].pk)}
        return int(service.post("commit", body).status_code == 200)

    counts = at_once(20, act)

    balance = Balance.objects.get(pk="alice")
    assert sum(counts) == 20
    assert balance.held == 0
    assert balance.posted == 1000 - 10 * sum(counts[1:])
    assert Transaction.objects.filter(type="usage").count() == sum(counts[1:])


def test_four_expiry_jobs_free_each_reservation_once() -> None:
    give("alice", 30)
    give("bob", 30)
    for _ in range(15):
        hold("alice", 2)
        hold("bob", 2)
    over = datetime.now(UTC) + timedelta(days=2)

    expired = at_once(4, lambda _: len(list(reservation_expiry.expire_due(now=over, limit=100))))

    assert sum(expired) == 30
    assert set(Balance.objects.values_list("held", flat=True)) == {Decimal(0)}


def test_open_reservations_leave_the_ledgers_rows_joined(service: Caller) -> None:
    """The earlier service wrote rows that did not join: (0→100), (90→85), (95→85)."""
    give("alice", 100)
    held = hold("alice", 10)

    service.post("use", use(5, userId="alice"))
    service.post("commit", {"reservationId": str(held.pk)})

    rows = Transaction.objects.order_by("number").values_list("balance_before", "balance_after")
    assert list(rows) == [(0, 100), (100, 95), (95, 85)]


def test_spends_and_reserves_share_what_there_is(service: Caller) -> None:
    give("alice", 20)

    def act(index: int) -> object:
        if index % 2:
            return service.post("use", use(1, userId="alice"))
        body = {"userId": "alice", "amount": 1, "reason": "chat"}
        return service.post("reserve", body)

    answers = at_once(50, act)

    assert statuses(answers) == {200: 20, 402: 30}
    assert Balance.objects.get(pk="alice").available == 0
