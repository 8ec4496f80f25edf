"""Deliveries: signed, in order per user, retried, parked, replayed, paused."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.db import connection

from credits import worker
from mana_credits.service_events import deliveries, subscriptions
from mana_credits.service_events.models import EventMessage, EventSubscription
from mana_credits.service_events.subscriptions import MessageNotReplayable, SubscriptionUnknown
from tests.event_receiver import EventReceiver, signed_by
from tests.factories import give, spend
from tests.service_events.conftest import Subscribe, deliver

pytestmark = pytest.mark.django_db


def counts(status: str) -> int:
    return EventMessage.objects.filter(status=status).count()


def test_a_message_is_delivered_signed_and_once(
    subscribe: Subscribe, receiver: EventReceiver
) -> None:
    _, secret = subscribe("credits.added")
    give("alice", 5)

    assert [deliver(), deliver(hours=1)] == [["delivered"], []]

    message = EventMessage.objects.get()
    (request,) = receiver.received
    assert request.key == f"msg_{message.pk.hex}"
    assert request.headers["content-type"] == "application/json"
    assert signed_by(request, secret)
    assert abs(int(request.headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 60
    assert request.content == {
        "type": "credits.added",
        "timestamp": message.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "sequence": message.number,
        "data": {"userId": "alice", **message.data},
    }


def test_the_package_of_standard_webhooks_verifies_it(
    subscribe: Subscribe, receiver: EventReceiver
) -> None:
    from standardwebhooks import Webhook, WebhookVerificationError  # noqa: PLC0415

    _, secret = subscribe("credits.added")
    give("alice", 5)
    deliver()
    (request,) = receiver.received
    headers = dict(request.headers)

    assert Webhook(secret).verify(request.body, headers) == request.content
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(request.body + b" ", headers)


def test_during_the_overlap_both_secrets_sign(
    subscribe: Subscribe, receiver: EventReceiver
) -> None:
    made, old = subscribe("credits.added")
    _, new = subscriptions.rotate(made.pk, overlap=timedelta(hours=1), now=worker.now())
    give("alice", 5)
    give("bob", 5)

    EventMessage.objects.filter(user_id="bob").update(due_at=worker.now() + timedelta(hours=2))
    deliver()
    deliver(hours=2, minutes=1)

    within, after = receiver.received
    assert signed_by(within, old)
    assert signed_by(within, new)
    assert not signed_by(after, old)
    assert signed_by(after, new)


def test_without_an_overlap_only_the_new_secret_signs(
    subscribe: Subscribe, receiver: EventReceiver
) -> None:
    made, old = subscribe("credits.added")
    _, new = subscriptions.rotate(made.pk, overlap=timedelta(0), now=worker.now())
    give("alice", 5)
    deliver()

    assert signed_by(receiver.received[0], new)
    assert not signed_by(receiver.received[0], old)


def test_the_database_has_no_secret_in_plain_text(subscribe: Subscribe) -> None:
    _, secret = subscribe()

    with connection.cursor() as cursor:
        cursor.execute("SELECT s::text FROM credits.event_subscriptions s")
        ((row,),) = cursor.fetchall()

    assert secret.removeprefix("whsec_") not in row


def test_a_secret_of_another_secret_key_is_told(
    subscribe: Subscribe, receiver: EventReceiver, settings: Any
) -> None:
    subscribe("credits.added")
    give("alice", 5)
    settings.SECRET_KEY = "another one"

    assert deliver() == ["refused"]
    assert "rotate" in EventMessage.objects.get().last_error
    assert receiver.received == []


def test_a_refused_message_holds_up_its_user_only(
    subscribe: Subscribe, receiver: EventReceiver
) -> None:
    subscribe("credits.added")
    for user_id in ("alice", "alice", "bob"):
        give(user_id, 5)
    receiver.answer = lambda r: 500 if r.content["data"]["userId"] == "alice" else 200

    assert sorted(deliver()) == ["delivered", "refused"]
    receiver.answer = lambda r: 200

    assert deliver(seconds=50) == []
    assert deliver(minutes=2) == ["delivered", "delivered"]
    assert [len(some) for some in receiver.sequences().values()] == [1, 2]
    assert all(sorted(some) == some for some in receiver.sequences().values())


@pytest.mark.slow
def test_the_pauses_grow_and_after_three_days_a_message_is_parked(
    subscribe: Subscribe, receiver: EventReceiver
) -> None:
    subscribe("credits.added")
    give("alice", 5)
    give("alice", 6)
    receiver.answer = lambda r: 503
    start = worker.now()
    now, pauses = start, []
    while counts("parked") == 0:
        outcome, *of_the_next = deliveries.deliver_due(now=now)
        due = EventMessage.objects.order_by("number")[0].due_at
        pauses.append((due - now).total_seconds() / 60)
        now = due
        assert (outcome, of_the_next) in [("refused", []), ("parked", ["refused"])]

    assert pauses[:6] == [1, 2, 4, 8, 16, 32]
    assert max(pauses) == 360
    assert timedelta(days=3) <= now - start < timedelta(days=4)
    assert len(receiver.received) > 15
    assert len({request.key for request in receiver.received[:-1]}) == 1

    receiver.answer = lambda r: 200
    later = now + timedelta(minutes=1)
    assert list(deliveries.deliver_due(now=later)) == ["delivered"]  # the user's next one


def test_a_parked_message_is_replayed_with_its_id(
    subscribe: Subscribe, receiver: EventReceiver
) -> None:
    made, _ = subscribe("credits.added")
    give("alice", 5)
    EventMessage.objects.update(status="parked", attempts=20, first_attempt_at=worker.now())

    assert deliver() == []
    assert subscriptions.replay_parked(made.pk, now=worker.now()) == 1

    assert deliver() == ["delivered"]
    assert EventMessage.objects.get().attempts == 1


def test_a_delivered_message_is_replayed_with_its_id(
    subscribe: Subscribe, receiver: EventReceiver
) -> None:
    subscribe("credits.added")
    give("alice", 5)
    deliver()
    message = EventMessage.objects.get()

    subscriptions.replay(message.pk, now=worker.now())
    with pytest.raises(MessageNotReplayable):
        subscriptions.replay(message.pk, now=worker.now())
    deliver()

    first, second = receiver.received
    assert first.key == second.key
    assert first.body == second.body


def test_an_ended_subscription_gets_nothing_and_forgets(
    subscribe: Subscribe, receiver: EventReceiver
) -> None:
    made, _ = subscribe("credits.added")
    give("alice", 5)
    give("bob", 5)
    deliver()
    give("alice", 6)
    subscriptions.end(made.pk, now=worker.now())

    assert deliver() == []
    for message in EventMessage.objects.all():
        with pytest.raises(MessageNotReplayable):
            subscriptions.replay(message.pk, now=worker.now())
    with pytest.raises(SubscriptionUnknown):
        subscriptions.pause(made.pk, now=worker.now())
    assert sum(deliveries.clean_up(now=worker.now())) == 3
    assert not EventMessage.objects.exists()


def test_while_paused_nothing_is_sent_and_afterwards_everything_in_order(
    subscribe: Subscribe, receiver: EventReceiver
) -> None:
    made, _ = subscribe()
    subscriptions.pause(made.pk, now=worker.now())
    give("alice", 5)
    spend("alice", 5)

    assert deliver(hours=1) == []
    assert deliveries.next_due(worker.now()) is None
    subscriptions.resume(made.pk)

    assert deliver() == ["delivered", "delivered"]
    assert [r.content["type"] for r in receiver.received] == ["credits.added", "balance.depleted"]


def test_a_receiver_that_is_away_gets_a_pause_and_then_all_in_order(
    subscribe: Subscribe, receiver: EventReceiver, settings: Any
) -> None:
    made, _ = subscribe("credits.added")
    for user_id in ("alice", "bob", "carol", "alice"):
        give(user_id, 5)
    hosts, settings.EVENT_HOSTS = settings.EVENT_HOSTS, []

    assert deliver() == ["unavailable"]  # one attempt, not four
    assert deliver(seconds=30) == []
    assert deliveries.next_due(worker.now()) is None
    assert deliver(minutes=2) == ["unavailable"]
    assert EventSubscription.objects.get(pk=made.pk).failures == 2
    settings.EVENT_HOSTS = hosts

    assert deliver(minutes=30) == ["delivered"] * 4
    assert EventSubscription.objects.get(pk=made.pk).failures == 0
    assert all(sorted(some) == some for some in receiver.sequences().values())


def test_one_receiver_that_is_away_delays_no_other(
    subscribe: Subscribe, receiver: EventReceiver
) -> None:
    away, _ = subscribe("credits.added", service="away")
    subscribe("credits.added")
    EventSubscription.objects.filter(pk=away.pk).update(url="http://127.0.0.1:1/events")
    give("alice", 5)
    give("bob", 5)

    assert sorted(deliver()) == ["delivered", "delivered", "unavailable"]


def test_slow_receivers_come_last_and_share_their_time(
    subscribe: Subscribe, receiver: EventReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "SECONDS_FOR_SLOW", 0.2)
    monkeypatch.setattr(deliveries, "SLOW_SECONDS", 0.1)
    slow = {subscribe("credits.added", service=f"slow-{n}")[0].pk for n in range(4)}
    monkeypatch.setattr(deliveries, "_slow_receivers", set(slow))
    fast = subscribe("credits.added", service="fast")[0].pk
    give("alice", 5)
    called: list[UUID] = []

    def send(subscription: EventSubscription, message: EventMessage, now: datetime) -> None:
        called.append(subscription.pk)
        time.sleep(0.3 if subscription.pk in slow else 0)

    with patch.object(deliveries, "_send", side_effect=send):
        assert deliver() == ["delivered", "delivered"]
        assert called[0] == fast
        assert deliver() + deliver() + deliver() == ["delivered"] * 3

    assert deliveries._slow_receivers == slow
    assert len(set(called)) == len(called) == 5


def test_an_answer_that_comes_too_late_is_retried_with_the_same_id(
    subscribe: Subscribe, receiver: EventReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mana_credits.service_events.receivers.DEADLINE_SECONDS", 0.3)
    subscribe("credits.added")
    give("alice", 5)
    receiver.seconds = 1

    assert deliver() == ["unavailable"]
    receiver.seconds = 0

    assert deliver(minutes=2) == ["delivered"]
    assert len({request.key for request in receiver.received}) == 1
    assert len(receiver.received) == 2


def test_a_redirect_is_not_followed(subscribe: Subscribe, receiver: EventReceiver) -> None:
    subscribe("credits.added")
    give("alice", 5)
    receiver.headers = {"Location": receiver.url}
    receiver.answer = lambda r: 307

    assert deliver() == ["refused"]
    assert len(receiver.received) == 1
    assert EventMessage.objects.get().last_error == "answered 307"


def test_a_worker_that_dies_during_a_call_loses_one_attempt(
    subscribe: Subscribe, receiver: EventReceiver
) -> None:
    subscribe("credits.added")
    give("alice", 5)
    give("alice", 6)

    subscription = EventSubscription.objects.get()
    assert deliveries._claim(subscription.pk, worker.now())  # the process that claims it is killed

    assert deliver() == []  # the second message waits for the first
    assert deliver(minutes=3) == ["delivered", "delivered"]
    assert [len(some) for some in receiver.sequences().values()] == [2]
    assert all(sorted(some) == some for some in receiver.sequences().values())


def test_old_delivered_messages_are_deleted(subscribe: Subscribe, receiver: EventReceiver) -> None:
    subscribe("credits.added")
    give("alice", 5)
    deliver()

    assert sum(deliveries.clean_up(now=worker.now() + timedelta(days=29))) == 0
    assert sum(deliveries.clean_up(now=worker.now() + timedelta(days=31))) == 1


def test_next_due_is_the_oldest_that_can_be_delivered(
    subscribe: Subscribe, receiver: EventReceiver
) -> None:
    assert deliveries.next_due(worker.now()) is None
    subscribe("credits.added")
    give("alice", 5)

    assert deliveries.next_due(worker.now()) == EventMessage.objects.get().due_at
