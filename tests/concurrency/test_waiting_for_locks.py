"""Another connection keeps a user's balance locked."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest
from django.db import transaction

from credits.api import account_views
from credits.api.locked_accounts import LockedAccounts
from credits.ledger.account_marks import mark_of
from credits.models import Balance
from tests.api import Answer, Caller, at_once, statuses, use
from tests.factories import give
from tests.owner import as_owner

pytestmark = pytest.mark.usefixtures("committed")


@pytest.mark.slow
def test_a_spend_does_not_wait_for_ever_and_can_be_sent_again(service: Caller) -> None:
    give("alice", 10)
    body = use(1, userId="alice", idempotencyKey="k1")

    with transaction.atomic():
        with as_owner():
            Balance.objects.select_for_update().get(pk="alice")
        (refused,) = at_once(1, lambda _: service.post("use", body))
    answered = service.post("use", body)

    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "1"
    assert refused.json()["code"] == "busy"
    assert answered.status_code == 200
    assert Balance.objects.get(pk="alice").posted == 9


@pytest.mark.slow
def test_others_of_a_locked_user_are_refused_at_once_and_nobody_else_waits(
    service: Caller, settings: Any
) -> None:
    settings.BULKHEADS = {**settings.BULKHEADS, "account": 2}
    for user in ("alice", "bob"):
        give(user, 10)

    def spend(index: int) -> Answer:
        user = "bob" if index >= 20 else "alice"
        return service.post("use", use(1, userId=user, idempotencyKey=f"k{index}"))

    with transaction.atomic():
        with as_owner():
            Balance.objects.select_for_update().get(pk="alice")

        def timed(index: int) -> tuple[Answer, float]:
            started = time.monotonic()
            return spend(index), time.monotonic() - started

        answers = at_once(22, timed)

    of_alice, of_bob = answers[:20], answers[20:]
    assert statuses([answer for answer, _ in of_alice]) == {503: 20}
    assert {answer.json()["code"] for answer, _ in of_alice} == {"busy"}
    assert sum(seconds >= 2 for _, seconds in of_alice) == 2  # they waited for the row
    assert statuses([answer for answer, _ in of_bob]) == {200: 2}
    assert Balance.objects.get(pk="alice").posted == 10
    assert Balance.objects.get(pk="bob").posted == 8


@pytest.mark.slow
def test_settlements_of_one_locked_user_leave_threads_to_others(
    service: Caller, settings: Any
) -> None:
    settings.BULKHEADS = {**settings.BULKHEADS, "account": 2}
    give("alice", 10)
    held = [
        service.post("reserve", {"userId": "alice", "amount": 1, "reason": "r"}).json()
        for _ in range(6)
    ]

    with transaction.atomic():
        with as_owner():
            Balance.objects.select_for_update().get(pk="alice")
        answers = at_once(
            6,
            lambda index: service.post("commit", {"reservationId": held[index]["reservationId"]}),
        )

    assert statuses(answers) == {503: 6}
    assert {answer.json()["code"] for answer in answers} == {"busy"}
    assert Balance.objects.get(pk="alice").held == 6


@pytest.mark.slow
def test_while_no_write_ends_others_are_refused_and_reads_go_on(
    service: Caller, settings: Any
) -> None:
    settings.BULKHEADS = {**settings.BULKHEADS, "writes": 1}
    give("alice", 10)
    give("bob", 10)

    def ask(index: int) -> Answer:
        if index == 0:
            return service.post("use", use(1, userId="alice"))
        return service.post("use", use(1, userId="bob"))

    with patch("credits.api.account_views.WRITES.patience", 0.2), transaction.atomic():
        with as_owner():
            Balance.objects.select_for_update().get(pk="alice")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(at_once, 1, ask)
            time.sleep(0.7)
            refused = at_once(1, lambda _: ask(1))[0]
            read = at_once(1, lambda _: service.get("balance/bob"))[0]
            waiting.result()

    assert (refused.status_code, refused.json()["code"]) == (503, "busy")
    assert (read.status_code, read.json()["balance"]) == (200, 10)


@pytest.fixture
def places(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the process the places of production, and no memory of locks."""
    production = {"account": 2, "locked": 1, "batches": 2, "writes": 3}
    settings.BULKHEADS = {**settings.BULKHEADS, **production}
    monkeypatch.setattr(account_views, "locked_accounts", LockedAccounts())


@contextmanager
def locked(*users: str) -> Iterator[None]:
    """Keep the users' balances locked."""
    with transaction.atomic():
        with as_owner():
            list(Balance.objects.select_for_update().filter(pk__in=users))
        yield


def spend_of(service: Caller, user: str, key: str) -> Answer:
    return service.post("use", use(1, userId=user, idempotencyKey=key))


@pytest.mark.slow
@pytest.mark.usefixtures("places")
def test_many_locked_users_share_one_place_and_others_are_not_refused(service: Caller) -> None:
    users = ["alice", "bob", "carol"]
    for user in (*users, "dave"):
        give(user, 100)

    def spend_first(user: str, _index: int) -> Answer:
        return spend_of(service, user, user)

    with locked(*users):
        for user in users:
            assert statuses(at_once(1, partial(spend_first, user))) == {503: 1}

        def timed(index: int) -> tuple[int, float]:
            user = "dave" if index >= 12 else users[index % 3]
            started = time.monotonic()
            answer = spend_of(service, user, f"k{index}")
            return answer.status_code, time.monotonic() - started

        answers = at_once(14, timed)

    assert [status for status, _ in answers] == [503] * 12 + [200] * 2
    assert sum(seconds >= 1 for _, seconds in answers[:12]) == 1  # one of the nine waits for a row
    assert all(seconds < 1 for _, seconds in answers[12:])
    assert spend_of(service, "alice", "after").status_code == 200
    assert ("", mark_of("alice")) not in account_views.locked_accounts


@pytest.mark.slow
@pytest.mark.usefixtures("places")
def test_settlements_of_a_locked_user_refuse_no_others(service: Caller) -> None:
    held: dict[str, list[str]] = {"alice": [], "bob": []}
    for user, ids in held.items():
        give(user, 100)
        for _ in range(6):
            body = {"userId": user, "amount": 1, "reason": "r"}
            ids.append(service.post("reserve", body).json()["reservationId"])

    def settle(index: int) -> Answer:
        user = "bob" if index >= 4 else "alice"
        time.sleep(0.2 if user == "bob" else 0)
        return service.post("commit", {"reservationId": held[user][index % 4]})

    with locked("alice"):
        first = at_once(6, settle)
        second = at_once(6, settle)

    for answers in (first, second):
        assert statuses(answers[:4]) == {503: 4}
        assert statuses(answers[4:]) == {200: 2}


@pytest.mark.slow
@pytest.mark.usefixtures("places")
def test_batches_that_meet_a_lock_leave_threads_to_others(service: Caller) -> None:
    for user in ("alice", "bob"):
        give(user, 100)

    def ask(index: int) -> Answer:
        if index >= 6:
            time.sleep(0.2)
            return spend_of(service, "bob", f"k{index}")
        item = use(1, userId="alice", idempotencyKey=f"b{index}")
        return service.post("use/batch", {"items": [item]})

    with locked("alice"):
        answers = at_once(8, ask)

    assert statuses(answers[:6]) == {503: 6}
    assert statuses(answers[6:]) == {200: 2}
