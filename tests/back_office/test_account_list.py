"""All accounts are listed by age, balance and spending, in pages of the same cost."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from credits import contacts
from credits.ledger import ledger_checks
from credits.models import Balance
from credits.principals import User
from gifts.models import GiftBlock
from mana_credits.back_office.account import account_list
from mana_credits.back_office.admin import dashboard_figures
from tests.back_office.test_titles import text
from tests.factories import give, spend

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)


def walk(order: str) -> list[str]:
    """Return the user ids of all pages."""
    found, after = [], ""
    while True:
        page = account_list.page(order, now=datetime.now(UTC), after=after)
        found += [one.balance.pk for one in page.accounts]
        if not page.next:
            return found
        after = page.next


def checked() -> None:
    list(ledger_checks.check(ledger_checks.full_check(now=NOW)))


def test_accounts_are_sorted_and_paged_by_each_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_list, "SIZE", 2)
    accounts = (("a", 10, 9), ("b b", 30, 1), ("c", 20, 2), ("d", 20, 2))
    for minute, (user_id, amount, spent) in enumerate(accounts):
        give(user_id, amount, at=NOW + timedelta(minutes=minute))
        spend(user_id, spent)
    checked()

    assert walk("newest") == ["d", "c", "b b", "a"]
    assert walk("balance") == ["b b", "c", "d", "a"]
    assert walk("spent") == ["a", "c", "d", "b b"]


def test_the_page_shows_names_and_current_figures(sam: Client) -> None:
    give("u-1", 10)
    contacts.record({User("u-1", "carol@example.test", "Carol"): NOW})
    checked()
    give("u-1", 5)

    page = sam.get("/admin/accounts/?by=balance").content.decode()

    assert '<a href="/admin/account/?user=u-1">u-1</a>' in page
    assert "carol@example.test" in page
    assert '<td class="num">15</td>' in page


@pytest.mark.parametrize(
    "query",
    ["by=luck", "after=x", "by=spent&after=x y", "by=newest&after=1", "after=" + "[" * 3000],
)
def test_a_link_edited_by_hand_leads_nowhere(sam: Client, query: str) -> None:
    assert sam.get(f"/admin/accounts/?{query}").status_code == 404


def test_all_transactions_are_listed_and_filtered(sam: Client) -> None:
    give("alice", 10)
    spend("alice", 1, app_id="chat")
    spend("alice", 2, app_id="picture")
    give("bob", 7)

    everything = sam.get("/admin/credits/transaction/").content.decode()
    usage = sam.get("/admin/credits/transaction/?type__exact=usage&app=chat").content.decode()

    assert [text in everything for text in (">bob<", ">alice<", "picture")] == [True] * 3
    assert [text in usage for text in (">bob<", ">alice<", "picture")] == [False, True, False]


def test_an_empty_list_offers_to_create_nothing(sam: Client) -> None:
    page = sam.get("/admin/credits/reservation/?q=nobody").content.decode()

    assert "Create a new item" not in page
    assert "match the " in page


def test_what_has_expired_is_not_available_before_the_worker_has_posted_it(sam: Client) -> None:
    give("alice", 5)
    give("alice", 10, expires_at=NOW + timedelta(days=1))
    give("bob", 7, expires_at=NOW + timedelta(days=3))
    then = NOW + timedelta(days=2)

    page = account_list.page("newest", now=then)

    assert {one.balance.pk: one.available for one in page.accounts} == {"alice": 5, "bob": 7}
    assert Balance.objects.get(pk="alice").posted == 15
    assert " alice 15 0 " in text(sam, "/admin/accounts/")
    owed = dashboard_figures.outstanding(now=then)
    assert (owed.owed, owed.expired) == (12, 10)


def test_the_list_marks_who_is_blocked_from_gifts(sam: Client) -> None:
    give("alice", 5)
    give("bob", 5)
    GiftBlock.objects.create(user_id="alice", by="sam", why="Guessed codes", since=NOW)

    page = text(sam, "/admin/accounts/")

    assert "alice blocked from gifts 5" in page
    assert "bob 5" in page
    assert "alice sam Guessed codes" in text(sam, "/admin/gifts/giftblock/")
