"""Operators' acts on reservations, subscriptions, messages and Stripe events."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest

from credits.ledger import ledger
from credits.models import OutboxMessage
from credits.outbox import outbox
from credits.sync import cloud_sync
from mana_credits.back_office.acts import event_retries as events_operating
from mana_credits.back_office.acts import interventions
from mana_credits.back_office.acts.audit import AlreadyDone, Justification, NoteRequired
from mana_credits.back_office.acts.event_retries import EventNotWaiting
from tests.back_office.operators import WHY, acts, browser, form, operator
from tests.credits.test_money_back import paid
from tests.factories import give, hold, subscribe
from webhooks.models import StripeEvent

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)
Given = tuple[str, str, Callable[[], bool]]


def reservation() -> Given:
    give("alice", 10)
    held = hold("alice", 4)
    page = f"/admin/reservation/{held.pk}/"
    return page, f"{page}release/", lambda: ledger.balance_of("alice").held == 0


def gift_of_sync() -> Given:
    give("alice", 10)
    there = "/admin/sync/?user=alice"
    return there, "/admin/sync/give/?user=alice", lambda: cloud_sync.status("alice").gifted


def taking_sync_back() -> Given:
    give("alice", 10)
    cloud_sync.give("alice", by="operator:ada", now=NOW)
    there = "/admin/sync/?user=alice"
    return there, "/admin/sync/revoke/?user=alice", lambda: not cloud_sync.status("alice").gifted


def message() -> Given:
    give("alice", 10)
    outbox.tell("alice", {"hello": "wörld"}, key=f"k:{uuid4()}", now=NOW)
    OutboxMessage.objects.update(status="dead", attempts=12)
    found = OutboxMessage.objects.get()
    page = f"/admin/message/{found.pk}/"
    return page, f"{page}retry/", lambda: OutboxMessage.objects.get().status == "pending"


def stored(number: int = 1, kind: str = "nothing.of.ours", **fields: Any) -> StripeEvent:
    return StripeEvent.objects.create(
        id=f"evt_{number}",
        type=kind,
        payload=json.dumps({"id": f"evt_{number}", "data": {"object": {"hello": "world"}}}),
        created_at=NOW,
        received_at=NOW,
        **fields,
    )


def event() -> Given:
    stored(error="Traceback: boom", attempts=1)
    page = "/admin/stripe-event/evt_1/"
    return page, f"{page}process/", lambda: StripeEvent.objects.get().outcome == "ignored"


SUPPORTED = {"sam", "fiona", "ada"}
FINANCIAL = {"fiona", "ada"}
ACTS = {
    "reservation": (reservation, SUPPORTED),
    "give": (gift_of_sync, FINANCIAL),
    "revoke": (taking_sync_back, FINANCIAL),
    "message": (message, FINANCIAL),
    "event": (event, FINANCIAL),
}


@pytest.mark.parametrize("name", ["sam", "fiona", "amir", "ada"])
@pytest.mark.parametrize("act", ACTS)
def test_everybody_looks_and_only_who_may_acts(act: str, name: str) -> None:
    make, may = ACTS[act]
    page, address, happened = make()
    client = browser(name)

    looked = client.get(page)
    asked = client.get(address)
    sent = client.post(address, form())

    assert looked.status_code == 200
    assert (address.partition("?")[0] in looked.content.decode()) == (name in may)
    assert asked.status_code == (200 if name in may else 403)
    assert sent.status_code == (302 if name in may else 403)
    assert happened() == (name in may)
    assert acts().count() == (name in may)


@pytest.mark.parametrize("act", ACTS)
def test_a_form_acts_once_and_is_on_record(act: str) -> None:
    make, _ = ACTS[act]
    page, address, happened = make()
    fiona, key = browser("fiona"), uuid4()

    answers = [fiona.post(address, form(key), follow=True) for _ in range(2)]

    assert happened()
    assert [answer.redirect_chain[-1] for answer in answers] == [(page, 302), (page, 302)]
    assert "it took effect once" in answers[1].content.decode()
    assert "Wrote to us" in answers[1].content.decode()
    assert acts().get().operator == "fiona"


@pytest.mark.parametrize("act", ACTS)
def test_nothing_happens_without_a_note(act: str) -> None:
    make, _ = ACTS[act]
    _, address, happened = make()

    answer = browser("fiona").post(address, form(note=" "))

    assert answer.status_code == 200
    assert not happened()
    assert not acts().exists()


def test_the_domain_wants_words_and_each_key_once() -> None:
    give("alice", 10)
    fiona, key = operator("fiona"), uuid4()

    interventions.give_sync(fiona, "alice", why=WHY, key=key, now=NOW)
    with pytest.raises(AlreadyDone):
        interventions.revoke_sync(fiona, "alice", why=WHY, key=key, now=NOW)
    with pytest.raises(NoteRequired):
        interventions.revoke_sync(fiona, "alice", why=Justification(note=" "), key=uuid4(), now=NOW)

    assert cloud_sync.status("alice").gifted


@pytest.mark.parametrize("act", ["reservation", "give", "revoke"])
def test_an_act_on_an_object_in_the_requested_state_is_refused_and_not_recorded(act: str) -> None:
    make, _ = ACTS[act]
    page, address, happened = make()
    fiona = browser("fiona")
    fiona.post(address, form())

    again = fiona.post(address, form())

    assert "The object is already in the requested state" in again.content.decode()
    assert happened()
    assert address not in fiona.get(page).content.decode()
    assert acts().count() == 1


def test_an_event_that_fails_again_says_so_and_keeps_its_traceback() -> None:
    _, address, _ = event()

    with patch("webhooks.events._apply", side_effect=ZeroDivisionError("still")):
        answer = browser("fiona").post(address, form(), follow=True).content.decode()

    assert "The event failed again." in answer
    assert "ZeroDivisionError: still" in answer
    found = StripeEvent.objects.get()
    assert (found.attempts, found.processed_at) == (2, None)
    assert acts().get().before == {"attempts": 1}


def test_an_event_that_was_processed_is_not_processed_again() -> None:
    stored(processed_at=NOW, outcome="ignored")

    with pytest.raises(EventNotWaiting):
        events_operating.process_event(operator("ada"), "evt_1", why=WHY, key=uuid4(), now=NOW)

    assert not acts().exists()


def test_an_events_payload_is_printed_for_reading() -> None:
    page, _, _ = event()
    StripeEvent.objects.update(purchase=paid())
    shown = browser("amir").get(page).content.decode()
    StripeEvent.objects.update(payload="")
    emptied = browser("ada").get(page)

    assert "&quot;hello&quot;: &quot;world&quot;" in shown
    assert "Traceback: boom" in shown
    assert "/admin/purchase/" in shown
    assert emptied.status_code == 200


def test_the_history_of_sync_shows_its_charges() -> None:
    give("alice", 100)
    subscribe("alice", at=NOW - timedelta(days=1))

    shown = browser("sam").get("/admin/sync/?user=alice").content.decode()

    assert "Cloud Sync (monthly)" in shown
    assert "active" in shown


@pytest.mark.parametrize(
    "address",
    [
        f"/admin/reservation/{UUID(int=0)}/",
        f"/admin/message/{UUID(int=0)}/",
        f"/admin/purchase/{UUID(int=0)}/",
        f"/admin/return/{UUID(int=0)}/send/",
        "/admin/stripe-event/evt_none/",
        "/admin/sync/?user=nobody",
        "/admin/sync/",
    ],
)
def test_what_is_not_there_is_not_found(address: str) -> None:
    assert browser("ada").get(address).status_code == 404


def test_events_that_wait_stand_first() -> None:
    stored(1)
    stored(2, processed_at=NOW, outcome="ignored")

    shown = browser("sam").get("/admin/webhooks/stripeevent/").content.decode()

    assert shown.index("evt_1") < shown.index("evt_2")


def test_a_rows_link_in_a_list_leads_to_its_page() -> None:
    page, _, _ = reservation()
    pk = page.split("/")[3]
    sam = browser("sam")

    there = sam.get(f"/admin/credits/reservation/{pk}/change/")
    sync = sam.get("/admin/credits/syncsubscription/alice/change/")

    assert (there.status_code, there["Location"]) == (302, page)
    assert sync["Location"] == "/admin/sync/?user=alice"
