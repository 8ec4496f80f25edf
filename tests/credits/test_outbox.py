"""Messages of the outbox are delivered at least once, or end as dead messages."""

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.db import transaction
from pytest_django import Settings

from credits.models import OutboxMessage
from credits.outbox import mana_notify as client
from credits.outbox import outbox
from credits.outbox.outbox import MessageNotDead
from tests import slow_server
from tests.api import at_once
from tests.environment import SERVICE_KEY
from tests.notify_server import NotifyServer, serving

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BODY = {
    "channel": "email",
    "appId": "sync",
    "userId": "alice",
    "recipient": "alice@example.test",
    "body": "<b>Eve & Co</b> say\n\nhello",
    "data": {"type": "sync_paused"},
}
HTML = "<p>&lt;b&gt;Eve &amp; Co&lt;/b&gt; say</p>\n\n<p>hello</p>"


@pytest.fixture
def notify(settings: Settings) -> Iterator[NotifyServer]:
    with serving() as server:
        settings.MANA_NOTIFY_URL = server.url
        yield server


def tell(key: str = "paused:alice") -> None:
    with transaction.atomic():
        outbox.tell("alice", BODY, key=key, now=NOW)


def deliver(*, minutes: int = 0) -> list[str]:
    return list(outbox.deliver_due(now=NOW + timedelta(minutes=minutes)))


def test_a_message_is_delivered_with_a_key_of_its_own(notify: NotifyServer) -> None:
    tell()

    outcomes = [deliver(), deliver()]

    message = OutboxMessage.objects.get()
    assert outcomes == [["delivered"], []]
    assert (message.status, message.attempts, message.delivered_at) == ("delivered", 1, NOW)
    assert notify.received == [
        {
            "path": "/api/v1/notifications/send",
            "service_key": SERVICE_KEY,
            "key": str(message.pk),
            "body": {**BODY, "body": HTML, "externalId": str(message.pk)},
        }
    ]
    assert notify.mails == {str(message.pk): {"to": "alice@example.test", "html": HTML}}


def test_what_happened_is_told_once(notify: NotifyServer) -> None:
    tell()
    tell()

    assert deliver() == ["delivered"]


def test_a_change_that_is_rolled_back_tells_nothing(notify: NotifyServer) -> None:
    with transaction.atomic():
        tell()
        transaction.set_rollback(True)

    assert deliver() == []
    assert notify.received == []


def test_a_failed_delivery_is_tried_again_with_growing_pauses(notify: NotifyServer) -> None:
    tell()
    notify.answers = [503, 503]

    outcomes = [deliver(minutes=minute) for minute in (0, 0, 1, 2, 3)]

    assert outcomes == [["failed"], [], ["failed"], [], ["delivered"]]
    assert len({request["key"] for request in notify.received}) == 1
    assert (len(notify.received), len(notify.mails)) == (3, 1)


def test_while_the_receiver_is_away_the_others_do_not_wait_for_it(
    settings: Settings,
) -> None:
    settings.MANA_NOTIFY_URL = "http://127.0.0.1:1"
    tell("a")
    tell("b")

    assert deliver() == ["failed"]
    assert sorted(OutboxMessage.objects.values_list("attempts", flat=True)) == [0, 1]
    assert "Connection refused" in OutboxMessage.objects.get(attempts=1).last_error


def test_a_message_that_is_refused_does_not_hold_up_the_next(notify: NotifyServer) -> None:
    tell("a")
    tell("b")
    notify.answers = [422]

    assert deliver() == ["failed", "delivered"]


def test_a_message_that_never_arrives_ends_among_the_dead_and_can_be_revived(
    notify: NotifyServer,
) -> None:
    tell()
    notify.answers = [404] * outbox.ATTEMPTS
    days = [24 * 60 * day for day in range(outbox.ATTEMPTS + 5)]

    outcomes = [outcome for minutes in days for outcome in deliver(minutes=minutes)]

    dead = OutboxMessage.objects.get(status="dead")
    assert outcomes == ["failed"] * (outbox.ATTEMPTS - 1) + ["dead"]
    assert dead.last_error == "answered 404"
    outbox.revive(dead.pk, now=NOW)
    assert deliver() == ["delivered"]
    with pytest.raises(MessageNotDead):
        outbox.revive(dead.pk, now=NOW)
    with pytest.raises(MessageNotDead):
        outbox.revive(uuid4(), now=NOW)


def test_a_crash_after_the_call_delivers_again_with_the_same_key(
    notify: NotifyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell()
    send = client.send

    def send_and_die(body: dict[str, Any], *, key: str) -> None:
        send(body, key=key)
        raise KeyboardInterrupt

    monkeypatch.setattr(client, "send", send_and_die)
    with pytest.raises(KeyboardInterrupt):
        deliver()
    monkeypatch.setattr(client, "send", send)

    assert deliver(minutes=1) == ["delivered"]
    assert (len(notify.received), len(notify.mails)) == (2, 1)
    assert len({request["key"] for request in notify.received}) == 1


def test_without_a_receiver_messages_wait(settings: Settings) -> None:
    settings.MANA_NOTIFY_URL = ""
    tell()

    assert deliver() == []
    assert outbox.next_due(NOW) == NOW
    assert OutboxMessage.objects.get().attempts == 0


@pytest.mark.slow
def test_two_workers_deliver_each_message_once(committed: None, notify: NotifyServer) -> None:
    for number in range(40):
        tell(f"message:{number}")

    outcomes = at_once(2, lambda _: deliver())

    assert Counter(outcome for one in outcomes for outcome in one) == {"delivered": 40}
    assert len({request["key"] for request in notify.received}) == len(notify.received) == 40


def test_old_delivered_messages_are_cleaned_up_and_no_others(notify: NotifyServer) -> None:
    tell("old")
    deliver()
    tell("waiting")

    cleaned = [list(outbox.clean_up(now=NOW + timedelta(days=days))) for days in (30, 31)]

    assert cleaned == [[], [1]]
    assert OutboxMessage.objects.get().key == "waiting"


@pytest.mark.slow
@pytest.mark.parametrize("behave", [slow_server.drip_head, slow_server.drip_body])
def test_a_receiver_that_answers_a_byte_at_a_time_is_given_up(
    settings: Settings, behave: slow_server.Behaviour
) -> None:
    tell("a")
    started = time.monotonic()

    with (
        slow_server.serving(behave) as server,
        patch("credits.outbox.mana_notify.DEADLINE_SECONDS", 1),
    ):
        settings.MANA_NOTIFY_URL = server.url
        outcomes = deliver()

    assert time.monotonic() - started < 30
    assert outcomes == ["failed"]
    assert OutboxMessage.objects.get().status == "pending"
