"""The account page: search, timeline, and the same cost with a long history."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from credits.ledger import ledger
from credits.ledger.posting import Memo, Origin, Priced
from credits.models import AdjustmentRequest, MoneyBack, Purchase, StripeCustomer, Transaction
from credits.payments import money_back
from mana_credits.back_office.account import account_search, timeline
from mana_credits.back_office.account.entry import TimelineEntry
from mana_credits.back_office.acts import approvals, balance_adjustments
from mana_credits.back_office.acts.audit import Justification
from tests.back_office.operators import operator
from tests.credits.test_money_back import paid, went_back
from tests.factories import gift, give, hold, redeem, spend, subscribe
from tests.owner import as_owner

pytestmark = pytest.mark.django_db

ACCOUNT = "/admin/account/?user=alice"


def a_life(user_id: str = "alice") -> None:
    """Create a history with one entry of each kind."""
    give(user_id, 100)
    for amount in range(1, 6):
        spend(user_id, amount)
    hold(user_id, 3)
    subscribe(user_id, at=datetime.now(UTC))
    give("ivan", 20)
    redeem(gift("ivan"), user_id)
    gift(user_id, 5)
    for amount in (1, 500):
        balance_adjustments.adjust(
            operator("sam"),
            user_id,
            Decimal(amount),
            why=Justification("goodwill", "Hung twice"),
            key=uuid4(),
            now=datetime.now(UTC),
        )


def titles(page: Any) -> list[str]:
    return [
        unescape(text).strip()
        for text in re.findall(r'class="what">(?:<a [^>]*>)?([^<]*)', page.content.decode())
    ]


def walk(size: int, **filters: Any) -> list[TimelineEntry]:
    """Return all entries of alice's timeline, read page by page."""
    found: list[TimelineEntry] = []
    after: dict[str, str] | None = None
    while True:
        page = timeline.page("alice", after=after, size=size, **filters)
        found += page.entries
        if page.next is None:
            return found
        after = page.next


def test_an_account_shows_its_balance_and_that_its_books_close(sam: Client) -> None:
    a_life()

    page = sam.get(ACCOUNT).content.decode()

    assert "books close, checked now" in page
    assert "<dt>Held by reservations</dt><dd>3</dd>" in page


def test_an_account_shows_what_expires(sam: Client) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    give("alice", 20)
    granted = give("alice", 10, expires_at=at).transaction
    give("alice", 1, expires_at=at + timedelta(days=1))
    spend("alice", 2.5)

    account = sam.get(ACCOUNT).content.decode()
    entry = sam.get(f"/admin/transaction/{granted.pk}/").content.decode()

    first, second = f"{at:%Y-%m-%d %H:%M}", f"{at + timedelta(days=1):%Y-%m-%d %H:%M}"
    shown = re.sub(r":\d\d(?=[,<])", "", account[account.index("Credits that expire") :])
    assert shown.startswith(f"Credits that expire: 7.5 on {first}, 1 on {second}</p>")
    assert "7.5 left, 0 expired" in entry


def test_an_account_does_not_show_what_has_expired(sam: Client) -> None:
    soon = datetime.now(UTC) + timedelta(milliseconds=50)
    give("alice", 20)
    give("alice", 10, expires_at=soon)
    while datetime.now(UTC) <= soon:
        pass

    account = sam.get(ACCOUNT).content.decode()

    assert "<dt>Available</dt><dd>20</dd>" in account
    assert "Credits that expire" not in account


@pytest.mark.breaks_the_books
def test_books_that_do_not_close_are_told(sam: Client) -> None:
    give("alice", 10)
    with connection.cursor() as cursor, as_owner():
        cursor.execute("UPDATE credits.balances SET held = 1 WHERE user_id = 'alice'")

    page = sam.get(ACCOUNT).content.decode()

    assert "The books of this account do not close" in page
    assert "held is 1" in page


def test_the_timeline_tells_of_everything_newest_first() -> None:
    a_life()

    entries = walk(100)

    assert [entry.at for entry in entries] == sorted((one.at for one in entries), reverse=True)
    assert {entry.kind for entry in entries} == {
        *("transactions", "reservations", "subscription", "requests", "staff"),
        *("gifts sent", "gifts received"),
    }


def test_money_that_went_back_is_told() -> None:
    bought = paid()
    money_back.record(went_back(bought, 499), now=datetime.now(UTC))

    kinds = [entry.kind for entry in timeline.page(bought.user_id).entries]

    assert kinds.count("returns") == kinds.count("purchases") == 1
    assert kinds.count("transactions") == 2


def details(page: Any) -> dict[str, list[str]]:
    """Return the details that the account page shows beside each entry, by title."""
    beside = re.findall(r'class="more"><time[^>]*>[^<]*</time>(.*)</span>', page.content.decode())
    said = [unescape(text).removeprefix("<span>").removesuffix("</span>") for text in beside]
    return dict(zip(titles(page), [text.split("</span><span>") for text in said], strict=True))


def test_the_timeline_says_in_words_what_happened(sam: Client) -> None:
    bought = paid()
    money_back.record(went_back(bought, 499, stripe_id="re_1"), now=datetime.now(UTC))
    MoneyBack.objects.update(reason="Bought twice")
    Purchase.objects.update(quarantined_at=datetime.now(UTC), quarantine_reason="paid twice")
    give(bought.user_id, 100)
    ledger.spend(bought.user_id, Priced("ai_chat_gpt4", 2), memo=Memo(), origin=Origin("user"))
    asked = balance_adjustments.adjust(
        operator("sam"),
        bought.user_id,
        Decimal(5000),
        why=Justification("goodwill", "Hung twice"),
        key=uuid4(),
        now=datetime.now(UTC),
    )
    assert isinstance(asked, AdjustmentRequest)
    approvals.reject(
        AdjustmentRequest,
        operator("fiona"),
        asked.pk,
        note="Too much",
        key=uuid4(),
        now=datetime.now(UTC),
    )

    said = details(sam.get(f"/admin/account/?user={bought.user_id}"))

    assert said == {
        "fiona: approve adjustment": ["Too much"],
        "sam: adjust balance": ["Goodwill", "Hung twice"],
        "sam asked for +5,000 credits": ["Goodwill", "Hung twice", "decided by fiona"],
        "Usage": ["system", "2 of ai_chat_gpt4", "by user"],
        "for the test": ["system", "by system"],
        "Credits of a purchase that was paid back": ["system", "by stripe"],
        "Refund of €4.99": ["re_1", "500 credits clawed back", "Bought twice"],
        "Purchase of Starter": ["stripe", "by stripe"],
        "Starter: 500 credits for €4.99": [
            bought.stripe_payment_intent_id,
            "quarantined: paid twice",
        ],
    }


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_pages_lose_nothing_and_repeat_nothing(size: int) -> None:
    a_life()

    entries = walk(size)

    assert len(entries) == len({(one.kind, one.position) for one in entries}) == len(walk(500))
    assert sum(one.amount or 0 for one in entries) == sum(
        Transaction.objects.filter(user_id="alice").values_list("amount", flat=True)
    )


def test_a_timeline_is_filtered_by_kind_and_day(sam: Client) -> None:
    give("alice", 10)
    spend("alice", 1, at=datetime.now(UTC) - timedelta(days=3))
    hold("alice", 2)
    day = (datetime.now(UTC) - timedelta(days=2)).date()

    holds = titles(sam.get(f"{ACCOUNT}&kind=reservations"))
    old = titles(sam.get(f"{ACCOUNT}&until={day}"))

    assert holds == ["2 credits held: research:openai"]
    assert old == ["a spend"]


def test_a_long_timeline_leads_on_to_older_entries(sam: Client) -> None:
    give("alice", 100)
    for _ in range(60):
        spend("alice", 1)

    first = sam.get(ACCOUNT)
    older = re.search(r'href="(\?[^"]*after=[^"]*)" rel="next"', first.content.decode())
    assert older
    second = sam.get(f"/admin/account/{unescape(older[1])}")

    assert (len(titles(first)), len(titles(second))) == (50, 11)
    assert "Newest" in second.content.decode()


@pytest.mark.parametrize(
    "query",
    ["user=nobody", "", "user=alice&after=eyJ0cmFuc2FjdGlvbnMiOiAieCJ9"],
)
def test_what_is_not_there_is_404(sam: Client, query: str) -> None:
    give("alice", 10)

    assert sam.get(f"/admin/account/?{query}").status_code == 404


@pytest.mark.parametrize("after", ["!!", "bm90IGpzb24=", "WzFd"])
def test_a_broken_link_begins_at_the_newest(sam: Client, after: str) -> None:
    give("alice", 10)

    answer = sam.get(f"{ACCOUNT}&after={after}")

    assert (answer.status_code, titles(answer)) == (200, ["for the test"])


def test_the_page_costs_the_same_however_long_the_history_is(sam: Client) -> None:
    give("alice", 100)
    spend("alice", 1)
    sam.get(ACCOUNT)
    with CaptureQueriesContext(connection) as few:
        sam.get(ACCOUNT)
    for _ in range(30):
        spend("alice", 1)

    with CaptureQueriesContext(connection) as many:
        sam.get(ACCOUNT)

    assert len(many) == len(few)


def found(text: str) -> list[str]:
    return [hit.user_id for hit in account_search.find(text).hits]


def test_an_account_is_found_by_its_rows() -> None:
    give("alice", 50)
    entry = spend("alice", 2).transaction
    held = hold("alice", 1)
    sent = gift("alice", 5)
    redeem(sent, "judy")
    gift("alice", 5, target_email="kate@example.test")

    assert found("alice") == found(" alice ") == ["alice"]
    assert found(str(entry.pk)) == found(str(held.pk)) == ["alice"]
    assert sorted(found(sent.code)) == sorted(found(sent.code.lower())) == ["alice", "judy"]
    assert found("Kate@Example.test") == ["alice"]
    assert found("ali") == ["alice"]
    assert found(str(uuid4())) == found("nobody") == found("") == []


def test_an_account_is_found_by_what_stripe_calls_it() -> None:
    bought = paid()
    StripeCustomer.objects.filter(user_id=bought.user_id).update(
        stripe_customer_id="cus_1", email="carol@example.test"
    )
    address = " Carol@Example.test"

    for text in (str(bought.pk), bought.stripe_payment_intent_id or "", "cus_1", address):
        assert found(text) == [bought.user_id]
    assert found("cs_none") == found("pi_none") == found("cus_none") == []


def test_one_match_opens_at_once_and_several_are_listed(sam: Client) -> None:
    give("alice", 10)
    give("alina", 10)

    one = sam.get("/admin/search-accounts/?q=alice")
    several = sam.get("/admin/search-accounts/?q=al").content.decode()
    none = sam.get("/admin/search-accounts/?q=zoe").content.decode()

    assert (one.status_code, one["Location"]) == (302, "/admin/account/?user=alice")
    assert "2 accounts" in several
    assert "Nothing found" in none


def test_a_transaction_opens_with_everything_about_it(sam: Client) -> None:
    give("alice", 10)
    usage = spend("alice", 4).transaction

    page = sam.get(f"/admin/transaction/{usage.pk}/").content.decode()

    for text in ("10 → 6", "a spend", str(usage.pk), "user", "chat"):
        assert text in page
    assert sam.get(f"/admin/transaction/{uuid4()}/").status_code == 404


def test_the_dashboard_says_what_is_owed_and_what_waits(sam: Client) -> None:
    a_life()

    page = sam.get("/admin/").content.decode()

    assert "What we owe" in page
    assert "credits, 30 days" in page
    assert "Requests that wait for approval: <strong>1</strong>" in page
    assert page.count("<canvas") == 4
