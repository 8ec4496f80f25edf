"""A purchase is one line of the timeline; what Stripe said about it is folded into the line."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from credits.models import Purchase
from mana_credits.back_office.account import timeline
from tests.credits.test_money_back import paid
from webhooks.models import StripeEvent

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)


def told(purchase: Purchase, count: int) -> None:
    for number in range(count):
        at = NOW + timedelta(seconds=number)
        StripeEvent.objects.create(
            id=f"evt_{number}",
            type=f"charge.kind{number}",
            created_at=at,
            received_at=at,
            payload="{}",
            purchase=purchase,
        )


def test_a_purchase_is_one_line_with_its_messages_folded(sam: Client) -> None:
    bought = paid()
    told(bought, 4)

    found = timeline.page(bought.user_id)
    page = sam.get(f"/admin/account/?user={bought.user_id}").content.decode()

    assert sorted(entry.kind for entry in found.entries) == ["purchases", "transactions"]
    assert [one.title for one in found.messages[bought.pk]] == [
        *("charge.kind3", "charge.kind2", "charge.kind1", "charge.kind0")
    ]
    assert "4 messages from Stripe" in page
    assert "/admin/stripe-event/evt_3/" in page


def test_events_are_lines_where_they_are_asked_for() -> None:
    bought = paid()
    told(bought, 2)

    found = timeline.page(bought.user_id, only=["events", "purchases"])

    assert sorted(entry.kind for entry in found.entries) == ["events", "events", "purchases"]
    assert found.messages == {}


def test_paging_folds_on_every_page() -> None:
    bought = paid()
    told(bought, 3)
    first = timeline.page(bought.user_id, size=1)
    assert first.next

    second = timeline.page(bought.user_id, size=1, after=first.next)

    assert second.next is None
    assert sum(len(page.messages.get(bought.pk, [])) for page in (first, second)) == 3


def test_events_end_where_the_window_ends() -> None:
    bought = paid()
    told(bought, 3)

    found = timeline.page(bought.user_id, only=["events"], until=NOW + timedelta(seconds=2))

    assert [entry.title for entry in found.entries] == ["charge.kind1", "charge.kind0"]
