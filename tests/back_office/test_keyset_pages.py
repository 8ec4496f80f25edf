"""Lists are read in pages that begin where the previous page ended."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from credits.models import Purchase, StaffAction, Transaction
from mana_credits.back_office import keyset_pages
from mana_credits.back_office.frame.read_only_lists import ReadOnlyList
from tests.credits.test_money_back import paid
from tests.factories import gift, give, spend
from tests.owner import as_owner
from webhooks.models import StripeEvent

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
COLUMNS = ("processed_at", "received_at", "id")


@pytest.fixture
def events() -> None:
    """Events with equal times, and some that are unprocessed."""
    times = [None, NOW, NOW - timedelta(hours=1)]
    for number, (processed, hours) in enumerate(itertools.product(times, (0, 0, 1))):
        StripeEvent.objects.create(
            id=f"evt_{number % 4}{number}",
            type="charge.refunded",
            payload="{}",
            created_at=NOW,
            received_at=NOW - timedelta(hours=hours),
            processed_at=processed,
            outcome="applied" if processed else None,
        )


def walk(rows: Any, size: int) -> list[Any]:
    """Return the keys of all pages."""
    found, after = [], ""
    while True:
        page = keyset_pages.page(rows, after=after, size=size)
        found += [row.pk for row in page.rows]
        if not page.next:
            return found
        after = page.next


@pytest.mark.parametrize("size", [1, 2, 4, 9, 20])
@pytest.mark.usefixtures("events")
def test_pages_in_each_direction_have_each_row_once(size: int) -> None:
    for signs in itertools.product(("", "-"), repeat=3):
        rows = StripeEvent.objects.order_by(*map("".join, zip(signs, COLUMNS, strict=True)))

        assert walk(rows, size) == list(rows.values_list("pk", flat=True))


@pytest.mark.usefixtures("events")
def test_a_deep_page_starts_inside_the_index() -> None:
    rows = StripeEvent.objects.order_by("-processed_at", "-received_at", "-id")
    position = json.dumps([str(NOW), str(NOW), "evt_1"])

    with CaptureQueriesContext(connection) as seen:
        keyset_pages.page(rows, after=position, size=50)
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute(f"EXPLAIN {seen[-1]['sql']}")
        told = "\n".join(line for (line,) in cursor.fetchall())

    assert "Index Cond: (processed_at <=" in told


def test_the_position_has_each_column_of_the_order_once(
    ada: Client, events: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReadOnlyList, "list_per_page", 2)

    page = ada.get("/admin/webhooks/stripeevent/").context["cl"]

    (position,) = parse_qs(urlsplit(page.next_page).query)["p"]
    assert len(json.loads(position)) == len(COLUMNS)


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize("text", ["evt_00", "charge.refunded", "the buyer"])
def test_events_are_found_by_id_user_and_type(ada: Client, text: str) -> None:
    bought = paid()
    StripeEvent.objects.filter(pk="evt_00").update(purchase=bought)
    query = {"q": bought.user_id if text == "the buyer" else text}

    page = ada.get("/admin/webhooks/stripeevent/", query).context["cl"]

    assert len(page.result_list) == (9 if text == "charge.refunded" else 1)


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize(
    "after", ["x", "1", "[]", '["a"]', "[1, 2, 3]", '["x", "y", "z"]', '[null, null, "evt"]', "{}"]
)
def test_an_edited_position_is_refused(after: str) -> None:
    rows = StripeEvent.objects.order_by(*COLUMNS)

    with pytest.raises(ValueError, match=r"."):
        keyset_pages.page(rows, after=after, size=2)


def test_the_next_page_keeps_the_filters_and_the_order(
    sam: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReadOnlyList, "list_per_page", 2)
    give("alice", 10)
    for _ in range(5):
        spend("alice", 1, app_id="chat")
    spend("alice", 1, app_id="picture")
    spent = Transaction.objects.filter(app_id="chat").order_by("id")
    address, shown = "/admin/credits/transaction/?type__exact=usage&app=chat&o=0", []

    while address:
        page = sam.get(address).context["cl"]
        shown.append([row.number for row in page.result_list])
        address = page.next_page and f"/admin/credits/transaction/{page.next_page}"

    numbers = list(spent.values_list("number", flat=True))
    assert shown == [numbers[:2], numbers[2:4], numbers[4:]]


def test_a_row_that_comes_in_between_shifts_no_page(
    sam: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReadOnlyList, "list_per_page", 2)
    for _ in range(4):
        give("alice", 1)
    before = list(Transaction.objects.order_by("-id").values_list("number", flat=True))
    first = sam.get("/admin/credits/transaction/").context["cl"]
    give("alice", 1)

    second = sam.get(f"/admin/credits/transaction/{first.next_page}").context["cl"]

    assert [row.number for row in first.result_list] == before[:2]
    assert [row.number for row in second.result_list] == before[2:]


def test_the_number_of_rows_is_exact_where_it_is_known_and_else_an_estimate(
    sam: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        give("alice", 1)
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("ANALYZE credits.transactions")
    everything = sam.get("/admin/credits/transaction/")
    monkeypatch.setattr(ReadOnlyList, "list_per_page", 2)

    first = sam.get("/admin/credits/transaction/")
    second = sam.get(f"/admin/credits/transaction/{first.context['cl'].next_page}")
    filtered = sam.get("/admin/credits/transaction/?type__exact=grant")

    assert "3 in all" in everything.content.decode()
    assert "The first 2 of about 3" in first.content.decode()
    assert "1 on this page, the last" in second.content.decode()
    assert "2 on this page, more follow" in filtered.content.decode()


@pytest.mark.parametrize(
    "path",
    [
        *("credits/transaction", "credits/staffaction", "credits/purchase", "credits/reservation"),
        *("credits/outboxmessage", "gifts/giftcode", "webhooks/stripeevent"),
        "service_events/eventmessage",
    ],
)
def test_a_growing_list_is_neither_counted_nor_sorted_nor_skipped_over(
    ada: Client, path: str
) -> None:
    for column in range(8):
        with CaptureQueriesContext(connection) as seen:
            assert ada.get(f"/admin/{path}/?o={column}").status_code == 200

        (rows,) = [one["sql"] for one in seen if "LIMIT 51" in one["sql"]]
        assert "OFFSET" not in rows
        assert not any("COUNT(" in one["sql"] for one in seen)
        plan = f"EXPLAIN {rows}"
        with as_owner(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_bitmapscan = off")
            cursor.execute(plan)
            told = "\n".join(line for (line,) in cursor.fetchall())
        assert "Sort Key" not in told, told


def test_purchases_and_audit_and_gifts_turn_pages(
    ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReadOnlyList, "list_per_page", 1)
    paid()
    paid()
    give("ivan", 9)
    gift("ivan", 1)
    gift("ivan", 2)
    with as_owner():
        for _ in range(2):
            StaffAction.objects.create(at=NOW, operator="ada", action="x", note="n")

    for path in ("credits/purchase", "gifts/giftcode", "credits/staffaction"):
        first = ada.get(f"/admin/{path}/").context["cl"]
        position = parse_qs(urlsplit(first.next_page).query)
        second = ada.get(f"/admin/{path}/", position).context["cl"]
        assert first.result_list[0].pk > second.result_list[0].pk, path
    assert Purchase.objects.count() == 2
    assert Transaction.objects.exists()


@pytest.mark.parametrize("path", ["credits/transaction", "credits/staffaction", "gifts/giftcode"])
def test_filters_count_no_rows(ada: Client, path: str) -> None:
    give("alice", 5)

    with CaptureQueriesContext(connection) as seen:
        page = ada.get(f"/admin/{path}/?_facets=True")

    assert page.status_code == 200
    assert "Show counts" not in page.content.decode()
    assert not any("COUNT(" in one["sql"] for one in seen)


def test_a_full_page_of_a_list_is_less_than_100_kilobytes(sam: Client) -> None:
    give("a-user-with-a-name-of-the-longest", 1_000_000)
    for _ in range(49):
        spend("a-user-with-a-name-of-the-longest", 1, app_id="questions")

    page = sam.get("/admin/credits/transaction/?o=-0")

    assert len(page.context["cl"].result_list) == 50
    assert len(page.content) < 100_000
    assert 'class="sortable column-created_at sorted descending" aria-sort' in page.content.decode()
