"""The account page shows what the user set: limits with what is spent, notice and top-up."""

import re
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from credits.models import Package
from tests.api import Caller
from tests.credits.test_auto_top_up import agree, work
from tests.factories import give, hold, spend
from tests.stripe import Stripe

pytestmark = pytest.mark.django_db

ACCOUNT = "/admin/account/?user=alice"


def shown(client: Client) -> str:
    """Return the texts of what the user set, with single spaces."""
    page = client.get(ACCOUNT).content.decode()
    found = re.search(r'aria-label="Set by the user">(.*?)</section>', page, re.DOTALL)
    return " ".join(unescape(re.sub("<[^>]*>", " ", found[1])).split()) if found else ""


def test_a_user_who_set_nothing_has_no_such_part(sam: Client) -> None:
    give("alice", 5)

    assert shown(sam) == ""


def test_limits_are_shown_with_what_is_spent_of_them(alice: Caller, sam: Client) -> None:
    give("alice", 100)
    of_chat = [{"appId": "chat", "monthlyLimit": 12}]
    limits = {"lowBalance": 7.5, "monthlyLimit": 40, "appLimits": of_chat}
    assert alice.put("settings", limits).status_code == 200
    spend("alice", 12, app_id="chat")
    spend("alice", 3, app_id="picture")
    hold("alice", 4)

    text = shown(sam)

    assert "when 7.5 credits or less are left" in text
    assert "Monthly limit 19 of 40 credits spent this month" in text
    assert "Limit in chat 12 of 12 credits spent this month reached" in text
    assert "Automatic top-up off" in text
    assert "monthly limit: none → 40" in text
    assert "app limits: none → chat 12" in text


def test_a_top_up_is_shown_with_its_terms_and_its_history(
    alice: Caller, starter: Package, stripe: Stripe, sam: Client
) -> None:
    give("alice", 20)
    agree(alice, starter, stripe)
    spend("alice", 15)
    work()

    text = shown(sam)

    assert "Automatic top-up active" in text
    assert "500 credits for €4.99, when 10 or less are left, at most 3 a month" in text
    assert "Card Visa •••• 4242" in text
    assert "Bought" in text
    assert "on: no → yes" in text
    assert "card last digits: none → 4242" in text
    assert "→ €4.99" in text


def test_a_paused_top_up_says_why(
    alice: Caller, starter: Package, stripe: Stripe, sam: Client
) -> None:
    agree(alice, starter, stripe, "declined-card")
    for days in (0, 1.1, 4.2):
        work(days=days)

    text = shown(sam)

    assert re.search(r"paused since \S+ \S+: the card was declined repeatedly", text)
    assert text.count("failed") == 3


def test_a_long_history_costs_no_more_queries(
    alice: Caller, starter: Package, stripe: Stripe, sam: Client
) -> None:
    give("alice", 100)
    agree(alice, starter, stripe)
    counts = []
    for numbers in (range(1, 3), range(3, 20)):
        for number in numbers:
            answer = alice.put("settings", {"lowBalance": 1, "monthlyLimit": number})
            assert answer.status_code == 200
        sam.get(ACCOUNT)
        with CaptureQueriesContext(connection) as seen:
            sam.get(ACCOUNT)
        counts.append(len(seen))

    assert counts[0] == counts[1]
