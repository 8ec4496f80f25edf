"""Lists make the same number of queries for many rows as for few."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credits.ledger import campaign_grants, grant_files
from credits.models import AdjustmentRequest, GrantCampaign, Operation
from credits.outbox import outbox
from credits.sync import cloud_sync
from gifts import campaigns
from gifts.campaigns import CampaignPlan
from gifts.models import GiftBlock, GiftMisses
from internal_api import service_keys
from internal_api.service_keys import KeyTerms
from mana_credits.back_office.acts import balance_adjustments
from mana_credits.back_office.acts.audit import Justification
from mana_credits.service_events.models import EventMessage, EventSubscription
from tests.back_office.operators import browser, operator
from tests.credits.test_money_back import paid
from tests.factories import gift, give, hold, package
from webhooks.models import StripeEvent

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)


def adjustment(user_id: str) -> None:
    why = Justification("goodwill", "n")
    balance_adjustments.adjust(operator("sam"), user_id, Decimal(1), why=why, key=uuid4(), now=NOW)


def asked(user_id: str) -> None:
    AdjustmentRequest.objects.create(
        user_id=user_id,
        amount=500,
        reason="goodwill",
        note="n",
        status="pending",
        requested_by="nina",
        requested_at=NOW,
    )


def operation(user_id: str) -> None:
    Operation.objects.create(
        key=user_id.replace("-", "_"),
        name="One more",
        category="ai",
        app="chat",
        cost=1,
        created_at=NOW,
        updated_at=NOW,
    )


def campaign(user_id: str) -> None:
    plan = CampaignPlan(
        2, Decimal(5), NOW + timedelta(days=30), actor="operator:sam", reason="spring"
    )
    started = campaigns.start(user_id, plan, now=NOW)
    list(campaigns.make_codes(started, now=NOW))


def service_key(user_id: str) -> None:
    service_keys.create(user_id, KeyTerms(["use"]), by="ada", now=NOW)


def event_subscription(user_id: str) -> EventSubscription:
    return EventSubscription.objects.create(
        service=user_id,
        url="https://chat.example.com/",
        events=["credits.added"],
        secret="encrypted",
        created_at=NOW,
        created_by="ada",
    )


def event_message(user_id: str) -> None:
    EventMessage.objects.create(
        subscription=event_subscription(user_id),
        user_id=user_id,
        event="credits.added",
        data={},
        due_at=NOW,
        created_at=NOW,
    )


def event(user_id: str) -> None:
    StripeEvent.objects.create(
        id=f"evt_{user_id}", type="charge.refunded", payload="{}", created_at=NOW, received_at=NOW
    )


def grants(user_id: str) -> None:
    file = grant_files.parse(f"user_id,credits\n{user_id},5\n".encode(), "the file")
    campaign = GrantCampaign(
        id=uuid4(), name=user_id, state="running", asked_by="sam", asked_at=NOW
    )
    campaign_grants.store(campaign, file)


# Of each list, how a row comes into it, and what a page of it asks: the session, the operator, two
# for the permissions, one for the rows, three to write the session; the audit's filters one each,
# the approvals one for what waits.
LISTS: dict[str, tuple[Callable[[str], object], int]] = {
    "adjustments": (asked, 11),
    "credits/grantcampaign": (grants, 9),
    "credits/operation": (operation, 8),
    "credits/outboxmessage": (lambda user_id: outbox.tell(user_id, {}, key=user_id, now=NOW), 8),
    "credits/package": (lambda user_id: package(name=user_id), 8),
    "credits/purchase": (lambda _: paid(), 8),
    "credits/reservation": (lambda user_id: hold(user_id, 1), 8),
    "credits/staffaction": (adjustment, 10),
    "credits/syncsubscription": (
        lambda user_id: cloud_sync.give(user_id, by="operator:ada", now=NOW),
        8,
    ),
    "credits/transaction": (lambda user_id: give(user_id, 1), 8),
    "gifts/campaign": (campaign, 8),
    "gifts/giftblock": (
        lambda user_id: GiftBlock.objects.create(user_id=user_id, by="sam", why="n", since=NOW),
        8,
    ),
    "gifts/giftcode": (lambda user_id: gift(user_id, 1), 8),
    "gifts/giftmisses": (
        lambda user_id: GiftMisses.objects.create(bucket=f"user:{user_id}", misses=1, since=NOW),
        8,
    ),
    "internal_api/servicekey": (service_key, 8),
    "service_events/eventmessage": (event_message, 9),  # one for the receivers
    "service_events/eventsubscription": (event_subscription, 8),
    "webhooks/stripeevent": (event, 8),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LISTS)
def test_a_list_asks_as_much_for_many_rows_as_for_few(name: str) -> None:
    make, expected = LISTS[name]
    amir, counts = browser("amir"), []

    for numbers in (range(2), range(2, 12)):
        for number in numbers:
            give(f"user-{number}", 10)
            make(f"user-{number}")
        amir.get(f"/admin/{name}/")
        with CaptureQueriesContext(connection) as seen:
            answer = amir.get(f"/admin/{name}/")
        assert answer.status_code == 200
        # If a further page follows, one query estimates the size of the table.
        counts.append(len(seen) - bool(getattr(answer.context.get("cl"), "next_page", "")))

    assert counts == [expected, expected]


def test_no_list_is_left_out() -> None:
    registered = {
        f"{model._meta.app_label}/{model._meta.model_name}" for model in admin.site._registry
    }

    assert registered == {name for name in LISTS if "/" in name}
