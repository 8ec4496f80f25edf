"""Deliveries by several workers: every message arrives, in order per user."""

from collections import Counter
from datetime import timedelta
from random import Random

import pytest

from credits import worker
from mana_credits.service_events import deliveries, event_types, subscriptions
from mana_credits.service_events.models import EventMessage, EventSubscription
from tests.api import at_once
from tests.event_receiver import EventReceiver
from tests.factories import give, spend

USERS = [f"user-{number}" for number in range(4)]
WORKERS = 3
CYCLES = 3  # each adds credits and depletes the balance


def subscribed(receiver: EventReceiver) -> EventSubscription:
    made, _ = subscriptions.create(
        "chat", receiver.url, event_types.ALL, by="ada", now=worker.now()
    )
    return made


def storm(receiver: EventReceiver, *, statuses: list[int]) -> None:
    """Move credits while workers deliver to a receiver that answers in random ways."""
    subscribed(receiver)
    chance = Random(1)
    receiver.answer = lambda request: chance.choice(statuses)

    def act(index: int) -> None:
        if index < len(USERS):
            for _ in range(CYCLES):
                give(USERS[index], 2)
                spend(USERS[index], 2)
        else:
            for _ in range(8):
                list(deliveries.deliver_due(now=worker.now()))

    at_once(len(USERS) + WORKERS, act)
    receiver.answer = lambda request: 200
    for hours in (7, 14):
        later = worker.now() + timedelta(hours=hours)
        at_once(WORKERS, lambda _: list(deliveries.deliver_due(now=later)))  # noqa: B023


def assert_all_arrived_in_order(receiver: EventReceiver) -> None:
    arrived = Counter(request.key for request in receiver.taken)
    assert EventMessage.objects.filter(status="delivered").count() == len(USERS) * CYCLES * 2
    assert not EventMessage.objects.exclude(status="delivered").exists()
    assert len(arrived) == len(USERS) * CYCLES * 2
    assert set(arrived.values()) == {1}
    for user_id, sequences in receiver.sequences().items():
        assert sequences == sorted(sequences), user_id


@pytest.mark.slow
def test_workers_deliver_each_message_once_and_in_order(
    committed: None, receiver: EventReceiver
) -> None:
    storm(receiver, statuses=[200])

    assert_all_arrived_in_order(receiver)


@pytest.mark.slow
def test_a_receiver_that_often_fails_gets_all_in_order(
    committed: None, receiver: EventReceiver
) -> None:
    storm(receiver, statuses=[200, 500, 503, 307])

    assert_all_arrived_in_order(receiver)
    assert len(receiver.received) > len(receiver.taken)


@pytest.mark.slow
def test_a_hanging_receiver_is_left_alone_after_one_attempt_of_each_worker(
    committed: None, receiver: EventReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mana_credits.service_events.receivers.DEADLINE_SECONDS", 0.3)
    receiver.seconds = 2
    subscribed(receiver)
    for user_id in USERS:
        give(user_id, 1)
    now = worker.now()

    outcomes = at_once(WORKERS, lambda _: list(deliveries.deliver_due(now=now)))

    assert all(outcome in ([], ["unavailable"]) for outcome in outcomes)
    assert EventMessage.objects.filter(status="pending").count() == len(USERS)
    assert list(deliveries.deliver_due(now=now)) == []
