"""Administrators subscribe services to events, pause and end; messages are replayed."""

import re
from typing import Any

import pytest
from django.test import Client

from credits import worker
from credits.models import StaffAction
from mana_credits.service_events import deliveries, event_types
from mana_credits.service_events.models import EventMessage, EventSubscription
from tests.back_office.operators import browser, form
from tests.event_receiver import EventReceiver, signed_by
from tests.factories import give
from tests.service_events.conftest import Subscribe, subscribe

__all__ = ["subscribe"]

pytestmark = pytest.mark.django_db
NEW = "/admin/event-subscription/new/"


def page_of(row: EventSubscription | EventMessage, act: str = "") -> str:
    kind = "message" if isinstance(row, EventMessage) else "subscription"
    return f"/admin/event-{kind}/{row.pk}/{act}"


def secret_in(answer: Any) -> str:
    found = re.search(r"whsec_[\w+/=]{44}", answer.content.decode())
    assert found
    return found[0]


def deliver() -> list[str]:
    return list(deliveries.deliver_due(now=worker.now()))


def test_the_secret_is_shown_once_and_signs(ada: Client, receiver: EventReceiver) -> None:
    answer = ada.post(NEW, form(service="chat", url=receiver.url, events=["credits.added"]))

    secret = secret_in(answer)
    made = EventSubscription.objects.get()
    give("alice", 5)
    assert deliver() == ["delivered"]
    assert signed_by(receiver.received[0], secret)
    assert secret not in ada.get(page_of(made)).content.decode()
    line = StaffAction.objects.get()
    assert (line.operator, line.subject) == ("ada", f"event_subscription:{made.pk}")
    assert line.after == {"service": "chat", "url": receiver.url, "events": "credits.added"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"service": "two words"},
        {"url": "https://elsewhere.example.com/"},
        {"url": "https://127.0.0.1/"},
        {"events": ["everything"]},
        {"events": []},
        {"note": ""},
    ],
)
def test_invalid_subscriptions_are_refused(
    ada: Client, receiver: EventReceiver, wrong: dict[str, Any]
) -> None:
    fields = {"service": "chat", "url": receiver.url, "events": ["credits.added"], **wrong}

    answer = ada.post(NEW, form(**fields))

    assert answer.status_code == 200
    assert not EventSubscription.objects.exists()
    assert "whsec_" not in answer.content.decode()


def test_a_rotated_secret_signs_beside_the_old_one(
    ada: Client, subscribe: Subscribe, receiver: EventReceiver
) -> None:
    made, old = subscribe("credits.added")

    new = secret_in(ada.post(page_of(made, "rotate/"), form(hours="24")))
    give("alice", 5)
    deliver()

    assert signed_by(receiver.received[0], old)
    assert signed_by(receiver.received[0], new)


def test_a_subscription_is_paused_resumed_and_ended(ada: Client, subscribe: Subscribe) -> None:
    made, _ = subscribe("credits.added")
    give("alice", 5)

    seen = []
    for act in ("pause/", "resume/", "end/"):
        ada.post(page_of(made, act), form())
        made.refresh_from_db()
        seen.append((made.status, deliver()))

    assert seen == [("paused", []), ("active", ["delivered"]), ("ended", [])]
    assert StaffAction.objects.count() == 3


def test_messages_are_replayed_alone_and_together(
    subscribe: Subscribe, receiver: EventReceiver
) -> None:
    fiona = browser("fiona")
    made, _ = subscribe("credits.added")
    for user_id in ("alice", "bob", "carol"):
        give(user_id, 5)
    EventMessage.objects.update(status="parked", last_error="answered 500")
    message = EventMessage.objects.earliest("number")
    assert "answered 500" in fiona.get(page_of(message)).content.decode()

    fiona.post(page_of(message, "replay/"), form())
    assert deliver() == ["delivered"]
    fiona.post(page_of(made, "replay/"), form())

    assert deliver() == ["delivered", "delivered"]
    assert EventMessage.objects.filter(status="delivered").count() == 3


def test_a_form_that_is_sent_twice_creates_one_subscription(
    ada: Client, receiver: EventReceiver
) -> None:
    fields = form(service="chat", url=receiver.url, events=list(event_types.ALL))
    ada.post(NEW, fields)

    again = ada.post(NEW, fields)

    assert EventSubscription.objects.count() == 1
    assert "whsec_" not in again.content.decode()
