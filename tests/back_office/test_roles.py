"""Every page of the back office: which roles may see it."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import URLPattern, URLResolver

from credits.ledger import grant_files
from credits.models import ActRequest, AdjustmentRequest, MoneyBack, OutboxMessage, StaffAction
from credits.outbox import outbox
from gifts import campaigns
from gifts.campaigns import CampaignPlan
from gifts.models import GiftMisses
from internal_api import service_keys
from internal_api.service_keys import KeyTerms
from mana_credits.back_office.acts import balance_adjustments, grant_requests
from mana_credits.back_office.acts.audit import Justification
from mana_credits.back_office.acts.grant_requests import WantedGrants
from mana_credits.service_events import event_types, subscriptions
from mana_credits.service_events.models import EventMessage
from tests.back_office.operators import ROLES, browser, form, operator
from tests.credits.test_money_back import paid
from tests.factories import gift, give, hold, package, spend, subscribe
from webhooks.models import StripeEvent

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)
ALL = {"sam", "fiona", "amir", "ada"}
DESK = {"sam", "fiona", "ada"}
MONEY = {"fiona", "ada"}

# Of each page, who may see it. A page that is missing here fails the test below.
PAGES = {
    **dict.fromkeys(
        (
            *(
                "index",
                "search_accounts",
                "accounts",
                "account",
                "transaction",
                "adjustments",
                "withdraw",
            ),
            *("reservation", "sync", "message", "operation", "package", "purchase"),
            *("gift", "campaign", "invalid_codes", "stripe_event", "second_factor", "service_key"),
            "staff_action",
            *("event_subscription", "event_message", "grant_campaign", "grant_result"),
        ),
        ALL,
    ),
    **dict.fromkeys(
        (
            *("adjust", "release_reservation", "cancel_gift", "extend_gift", "resend_gift"),
            *("block_gifts", "unblock_gifts", "new_grant_campaign", "new_gift_campaign"),
        ),
        DESK,
    ),
    **dict.fromkeys(
        (
            *("decide", "decide_act", "reverse", "give_sync", "revoke_sync", "retry_message"),
            "set_price",
            "new_operation",
            "take_off_offer",
            *("new_package", "change_package", "offer_package", "quarantine"),
            "campaign_codes",
            *("refund_purchase", "send_refund", "process_event", "replay_event", "replay_parked"),
        ),
        MONEY,
    ),
    "export": {"fiona", "amir", "ada"},
    **dict.fromkeys(
        (
            *("people", "new_operator", "operator", "operator_roles", "operator_password"),
            *("operator_factor", "operator_off", "operator_on", "new_service_key"),
            *("rotate_service_key", "revoke_service_key", "new_event_subscription"),
            *("rotate_event_secret", "pause_events", "resume_events", "end_events"),
        ),
        frozenset({"ada"}),
    ),
}
# Django's and Unfold's own, for everybody who is let in, or for nobody.
FRAMEWORK = {
    *("search", "login", "logout", "password_change", "password_change_done", "autocomplete"),
    *("jsi18n", "view_on_site", "app_list", None),
}


def routes(patterns: Any = None, before: str = "") -> Iterator[tuple[str, str | None]]:
    for one in admin.site.get_urls() if patterns is None else patterns:
        if isinstance(one, URLResolver):
            yield from routes(one.url_patterns, before + str(one.pattern))
        elif isinstance(one, URLPattern):
            yield before + str(one.pattern), one.name


def lists() -> list[str]:
    return [route for route, name in routes() if name and name.endswith("_changelist")]


@pytest.fixture
def addresses(settings: Any) -> dict[str, str]:
    """Create a row of every kind. Return the URL of each page about one."""
    settings.TIME_ZONE = "UTC"
    give("alice", 100)
    entry = spend("alice", 1).transaction
    held = hold("alice", 1)
    subscribe("alice", at=NOW)
    sent = gift("alice", target_email="kate@example.test")
    bought = paid()
    bought.quarantined_at, bought.quarantine_reason = NOW, "another amount"
    bought.save()
    asked = AdjustmentRequest.objects.create(
        user_id="alice",
        amount=5,
        reason="goodwill",
        note="n",
        status="pending",
        requested_by="nina",
        requested_at=NOW,
    )
    act = ActRequest.objects.create(
        kind="price", subject="operation:x", note="n", requested_by="nina", requested_at=NOW
    )
    outbox.tell("alice", {"body": "x"}, key="k", now=NOW)
    OutboxMessage.objects.update(status="dead")
    money = MoneyBack.objects.create(
        kind="refund",
        stripe_payment_intent_id=bought.stripe_payment_intent_id or "",
        amount_cents=1,
        state="requested",
        created_at=NOW,
    )
    event = StripeEvent.objects.create(
        id="evt_1", type="charge.refunded", payload="{}", created_at=NOW, received_at=NOW
    )
    GiftMisses.objects.create(bucket="user:alice", misses=1, since=NOW)
    balance_adjustments.adjust(
        operator("sam"),
        "alice",
        Decimal(1),
        why=Justification("goodwill", "n"),
        key=uuid4(),
        now=NOW,
    )
    plan = CampaignPlan(
        1, Decimal(5), NOW + timedelta(days=30), actor="operator:sam", reason="spring"
    )
    campaigns.start("spring", plan, now=NOW)
    settings.EVENT_HOSTS = ["chat.example.com"]
    subscription, _ = subscriptions.create(
        "chat", "https://chat.example.com/", event_types.ALL, by="ada", now=NOW
    )
    file = grant_files.parse(b"user_id,credits\nalice,5\nbob,x\n", "the file")
    granted = grant_requests.ask(
        operator("sam"),
        WantedGrants("winter", "Thank you", file, leave_out=True),
        why=Justification(note="n"),
        key=uuid4(),
        now=NOW,
    )
    give("bob", 1)
    service_key, _ = service_keys.create("chat", KeyTerms(["use"]), by="ada", now=NOW)
    keys = {
        "transaction": entry.pk,
        "adjustments": asked.pk,
        "withdraw": asked.pk,
        "approvals": act.pk,
        "reservation": held.pk,
        "message": OutboxMessage.objects.get().pk,
        "operation": "ai_chat_gpt4",
        "package": package(name="Plus").pk,
        "purchase": bought.pk,
        "return": money.pk,
        "gift": sent.pk,
        "campaign": "spring",
        "campaign-codes": "spring",
        "grant-campaign": granted.pk,
        "invalid-codes": "user:alice",
        "stripe-event": event.pk,
        "staff-action": StaffAction.objects.latest("pk").pk,
        "service-key": service_key.pk,
        "event-subscription": subscription.pk,
        "event-message": EventMessage.objects.get().pk,
    }
    return {
        name: "/admin/"
        + route.split("<")[0]
        + str(keys[route.split("/")[0]])
        + "/"
        + route.partition(">/")[2]
        if "<" in route
        else f"/admin/{route}?user=alice&name=sam"
        for route, name in routes()
        if name in PAGES
    }


def test_every_page_is_in_the_table() -> None:
    django = ("_changelist", "_add", "_history", "_delete", "_change")
    own = {name for _, name in routes() if name not in FRAMEWORK and not str(name).endswith(django)}

    assert own == set(PAGES)


@pytest.mark.parametrize("name", ROLES)
@pytest.mark.slow
def test_pages_are_shown_to_their_roles_and_refused_to_others(
    addresses: dict[str, str], name: str
) -> None:
    operator("sam")
    client = browser(name)

    answers = {page: client.get(address).status_code for page, address in addresses.items()}

    wanted = {page: 200 if name in roles else 403 for page, roles in PAGES.items()}
    assert answers == wanted
    refused = [page for page, roles in PAGES.items() if name not in roles]
    sent = {client.post(addresses[page], form()).status_code for page in refused}
    assert sent <= {403}


def test_what_is_not_there_is_404_on_every_page(ada: Client) -> None:
    unknown = {"uuid": str(UUID(int=0)), "str": "nothing", "path": "nothing"}
    about_one = {
        name: "/admin/" + re.sub(r"<(\w+):\w+>", lambda key: unknown[key[1]], route)
        for route, name in routes()
        if name in PAGES and "<" in route
    }

    answers = {name: ada.get(address).status_code for name, address in about_one.items()}

    assert len(answers) >= 24
    assert set(answers.values()) == {404}


@pytest.mark.slow
@pytest.mark.parametrize("name", ROLES)
def test_every_list_is_shown_and_nobody_edits_a_row(addresses: dict[str, str], name: str) -> None:
    client = browser(name)

    shown = {route: client.get(f"/admin/{route}").status_code for route in lists()}
    added = {client.get(f"/admin/{route}add/").status_code for route in lists()}
    action = StaffAction.objects.first()
    assert action
    kept = client.post(f"/admin/credits/staffaction/{action.pk}/change/", {"note": "x"})
    gone = client.post(f"/admin/credits/staffaction/{action.pk}/delete/", {"post": "yes"})

    assert set(shown.values()) == {200}
    assert added <= {403, 302}  # 302: to its list, where "add" would be a row's id
    # 302: to the page of the act, which changes nothing.
    assert (kept.status_code, gone.status_code) == (302, 403)
    assert StaffAction.objects.get(pk=action.pk).note == action.note


def test_an_operator_without_a_role_sees_nothing(addresses: dict[str, str]) -> None:
    client = browser("sam")
    from django.contrib.auth.models import User  # noqa: PLC0415

    User.objects.get(username="sam").groups.clear()

    answers = {
        page: client.get(address).status_code
        for page, address in addresses.items()
        if page != "second_factor"
    }

    assert set(answers.values()) == {403}
