"""Pages of single rows: titles and labels in words, and no time of an attempt that never comes."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest
from django.test import Client, RequestFactory

from credits.ledger import ledger
from credits.ledger.posting import Memo, Origin
from credits.models import ActRequest, Operation, OutboxMessage, StaffAction
from credits.outbox import outbox
from credits.payments import purchases
from credits.roles import SUPPORT
from internal_api import service_keys
from internal_api.service_keys import KeyTerms
from mana_credits.back_office.acts import (
    audit,
    gift_interventions,
    looks,
    operator_accounts,
    purchase_refunds,
)
from mana_credits.back_office.acts.audit import AuditRecord, Operator
from mana_credits.back_office.admin.subject_pages import BY_PATH, BY_QUERY, address_of_subject
from mana_credits.back_office.templatetags.office import NOTHING
from mana_credits.service_events import event_types, subscriptions
from mana_credits.service_events.models import EventMessage
from tests.back_office.operators import ROLES, WHY, browser, operator
from tests.back_office.test_roles import PAGES
from tests.back_office.test_titles import text
from tests.credits.test_money_back import paid, payment, started
from tests.factories import gift, give, hold, spend
from webhooks import events

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("status", "next_attempt"), [("pending", str(NOW.year)), ("dead", NOTHING)]
)
def test_a_message_is_listed_by_its_subject(ada: Client, status: str, next_attempt: str) -> None:
    with transaction.atomic():
        outbox.tell("alice", {"subject": "Low credits", "body": "x"}, key="low:1", now=NOW)
    OutboxMessage.objects.update(status=status)
    message = OutboxMessage.objects.get()

    page = text(ada, f"/admin/message/{message.pk}/")
    listed = text(ada, "/admin/credits/outboxmessage/")

    assert "Message Low credits" in page
    assert f"Account alice Key low:1 Attempts 0 Next attempt {next_attempt}" in page
    assert f"Last error {NOTHING}" in page
    assert "Low credits alice" in listed
    assert f"Low credits alice {status} 0 {NOW:%Y-%m-%d %H:%M:%S} {next_attempt}" in listed


def test_an_event_names_its_receiver_and_its_account(ada: Client, settings: object) -> None:
    settings.EVENT_HOSTS = ["chat.example.test"]  # type: ignore[attr-defined]
    url = "https://chat.example.test/events"
    subscriptions.create("chat", url, [event_types.CREDITS_ADDED], by="ada", now=NOW)
    give("alice", 5)
    message = EventMessage.objects.get()

    page = text(ada, f"/admin/event-message/{message.pk}/")
    listed = text(ada, "/admin/service_events/eventmessage/")
    EventMessage.objects.update(status="delivered", delivered_at=NOW)
    delivered = text(ada, f"/admin/event-message/{message.pk}/")

    assert "Event credits.added pending Receiver chat Account alice" in page
    assert "credits.added chat alice pending" in listed
    assert f"Next attempt {NOTHING} Delivered" in delivered
    assert "Belongs to" not in page


def test_titles_of_technical_rows_begin_with_their_kind(ada: Client) -> None:
    key, _ = service_keys.create("chat", KeyTerms(("use",)), by="ada", now=NOW)
    event = events.receive(b'{"id": "evt_1", "type": "a.b", "created": 1}', now=NOW)

    assert f"Service key chat, {key.prefix}…" in text(ada, f"/admin/service-key/{key.pk}/")
    shown = text(ada, f"/admin/stripe-event/{event.pk}/")
    assert "Stripe event a.b" in shown
    assert "A.b" not in shown


def test_more_refunds_than_spends_are_no_negative_spending() -> None:
    bought = started()
    user_id = bought.user_id
    give(user_id, 20)
    before = spend(user_id, 15).transaction
    purchases.complete(payment(bought), at=NOW, now=NOW)
    bought.refresh_from_db()
    spend(user_id, 3)
    origin = Origin("service:chat")
    ledger.refund(user_id, Decimal(15), memo=Memo(), origin=origin, usage_id=before.pk)

    assert purchase_refunds.spent_since(bought) == 0


def test_an_account_in_a_list_is_a_link_unless_the_row_is_it(ada: Client) -> None:
    give("al&ice", 5)
    hold("al&ice", 2)
    account = '<a href="/admin/account/?user=al%26ice">'

    for path in ("transaction", "reservation"):
        assert account in ada.get(f"/admin/credits/{path}/").content.decode()
    gift_interventions.block(operator("ada"), "al&ice", why=WHY, key=uuid4(), now=NOW)
    assert account not in ada.get("/admin/gifts/giftblock/").content.decode()


def test_the_record_of_an_act_has_no_words_of_a_program(ada: Client) -> None:
    gift_interventions.block(operator("ada"), "alice", why=WHY, key=uuid4(), now=NOW)

    page = text(
        ada, f"/admin/staff-action/{StaffAction.objects.get(action='gifts.block_user').pk}/"
    )

    assert "blocked: no After blocked: yes" in page
    assert "ada: block user | mana-credits" in page


def test_a_message_waits_for_a_paused_subscription(ada: Client, settings: Any) -> None:
    settings.EVENT_HOSTS, settings.EVENT_HOSTS_MAY_BE_LOCAL = ["localhost:9"], True
    made, _ = subscriptions.create(
        "chat", "http://localhost:9/", event_types.ALL, by="ada", now=NOW
    )
    give("alice", 5)
    subscriptions.pause(made.pk, now=NOW)
    message = EventMessage.objects.get()

    for path in (f"event-message/{message.pk}", "service_events/eventmessage"):
        assert "when resumed" in text(ada, f"/admin/{path}/")


def test_an_act_and_a_request_lead_to_the_row_that_they_are_about(ada: Client) -> None:
    key = Operation.objects.earliest("key").pk
    asked = ActRequest.objects.create(
        kind="price",
        subject=f"operation:{key}",
        summary="x",
        note="x",
        requested_by="fiona",
        requested_at=NOW,
    )
    operator_accounts.create(
        operator("ada"),
        "eve",
        email="eve@example.test",
        chosen=[SUPPORT],
        password="a long enough one",
        key=uuid4(),
    )
    created = StaffAction.objects.get(subject="operator:eve")

    links = {
        f"approvals/{asked.pk}": f"/admin/operation/{key}/",
        f"staff-action/{created.pk}": "/admin/staff/operator/?name=eve",
    }
    for path, address in links.items():
        assert f'href="{address}"' in ada.get(f"/admin/{path}/").content.decode()
        assert ada.get(address).status_code == 200


@pytest.mark.parametrize("subject", ["", "package:new:Plus", "export:gifts", "x"])
def test_a_subject_without_a_page_has_no_link(subject: str, rf: RequestFactory) -> None:
    assert address_of_subject(seen_by("ada", rf), subject) == ""


@pytest.mark.parametrize("name", ROLES)
def test_a_subject_is_linked_for_the_roles_that_may_open_its_page(
    name: str, rf: RequestFactory
) -> None:
    pages = {**BY_PATH, **{kind: page for kind, (page, _) in BY_QUERY.items()}}
    request = seen_by(name, rf)

    linked = {kind for kind in pages if address_of_subject(request, f"{kind}:{UUID(int=1)}")}

    assert linked == {kind for kind, page in pages.items() if name in PAGES[page]}


def seen_by(name: str, rf: RequestFactory) -> HttpRequest:
    browser(name)
    request = rf.get("/admin/")
    request.user = User.objects.get(username=name)
    return request


def test_a_row_and_its_forms_say_that_a_request_about_it_waits(sam: Client, fiona: Client) -> None:
    give("alice", 500)
    entry = spend("alice", 400).transaction
    bought = paid()
    key = Operation.objects.earliest("key").pk
    pages = {
        f"transaction:{entry.pk}": [f"transaction/{entry.pk}/", f"transaction/{entry.pk}/reverse/"],
        f"purchase:{bought.pk}": [f"purchase/{bought.pk}/", f"purchase/{bought.pk}/refund/"],
        f"operation:{key}": [f"operation/{key}/", f"operation/{key}/price/"],
    }
    for subject in pages:
        ActRequest.objects.create(
            kind="price",
            subject=subject,
            summary=f"About {subject}",
            note="n",
            requested_by="ada",
            requested_at=NOW,
            user_id="alice",
        )

    assert "3 requests about this account wait for approval" in text(
        sam, "/admin/account/?user=alice"
    )
    for subject, (row, act) in pages.items():
        told = f"About {subject}: waits for approval since {NOW:%Y-%m-%d}, asked by ada."
        assert told in text(sam, f"/admin/{row}")
        assert told in text(fiona, f"/admin/{act}")

    ActRequest.objects.update(status="withdrawn", decided_by="ada", decided_at=NOW)
    assert "waits for approval" not in text(sam, f"/admin/operation/{key}/")


def test_looks_hide_no_act_on_the_page_of_a_row(sam: Client) -> None:
    give("ivan", 50)
    made = gift("ivan", 5)
    bought = paid()
    gift_interventions.extend(
        operator("sam"), made.pk, NOW + timedelta(days=100), why=WHY, key=uuid4(), now=NOW
    )
    act = AuditRecord(user_id=bought.user_id, subject=f"purchase:{bought.pk}")
    audit.record(operator("sam"), "credits.refund_purchase", act, why=WHY)
    for number in range(20):
        for user_id, subject in (("ivan", f"gift:{made.pk}"), (bought.user_id, act.subject)):
            colleague = Operator(f"colleague-{number}", lambda permission: True)
            looks.look(colleague, user_id, subject=subject, now=NOW)

    for path in (f"gift/{made.pk}/", f"purchase/{bought.pk}/"):
        page = text(sam, f"/admin/{path}")
        assert WHY.note in page
        assert "looked at account" not in page
