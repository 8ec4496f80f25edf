"""Lists of a user's transactions use an index, with any filter and at any depth."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credits.ledger import history
from credits.ledger.history import AFTER_OFFSET, BEFORE, LARGEST_NUMBER, History, HistoryEntry
from credits.models import Transaction
from tests.credits.test_check_ledger import damage
from tests.factories import give, spend
from tests.owner import as_owner
from tests.query_plans import rows_read

pytestmark = pytest.mark.django_db

GROW = Path(__file__).resolve().parents[2] / "bench" / "sql" / "grow.sql"
ROWS = 6_000
# The maximum of rows that a page of 50 may read: its own, one more, and steps to find the apps.
MOST_READ = 150


@pytest.fixture
def mixed() -> list[Transaction]:
    """Create 30 transactions in 3 apps, partly out of time order.

    Returns them in descending order of their numbers.
    """
    give("alice", 1000)
    start = datetime(2027, 1, 1, tzinfo=UTC)
    for index in range(28):
        app = ("chat", "picture", "research")[index % 3]
        spend("alice", 1 + index, app_id=app, at=start + timedelta(hours=index - 5 * (index == 20)))
    give("alice", 5)
    give("bob", 5)
    return list(Transaction.objects.filter(user_id="alice").order_by("-number"))


FILTERS: list[dict[str, Any]] = [
    {},
    {"type": "usage"},
    {"type": "grant"},
    {"type": "refund"},
    {"app_id": "chat"},
    {"app_id": "nothing"},
    {"app_id": "picture", "type": "usage"},
    {"app_id": "chat", "type": "grant"},
    {"created_at__gte": datetime(2027, 1, 1, 7, tzinfo=UTC)},
    {"created_at__lte": datetime(2027, 1, 1, 20, tzinfo=UTC)},
    {
        "created_at__gte": datetime(2027, 1, 1, 7, tzinfo=UTC),
        "created_at__lte": datetime(2027, 1, 1, 20, tzinfo=UTC),
        "app_id": "research",
    },
    {"created_at__gte": datetime(2027, 1, 1, 7, tzinfo=UTC), "type": "usage"},
    {"created_at__gte": datetime(2027, 1, 1, 7, tzinfo=UTC), "type": "grant"},
]


def expected(rows: list[Transaction], filters: dict[str, Any]) -> list[int]:
    """Return the matching numbers by brute force."""
    names = {"type", "app_id"}
    fitting = [
        row
        for row in rows
        if all(getattr(row, name) == filters[name] for name in names & filters.keys())
        and row.created_at >= filters.get("created_at__gte", row.created_at)
        and row.created_at <= filters.get("created_at__lte", row.created_at)
    ]
    if filters.keys() - {"type"} and filters.get("type", "usage") == "usage":
        fitting.sort(key=lambda row: (row.created_at, row.number), reverse=True)
    return [row.number for row in fitting]


@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("most_apps", [50, 2])
def test_every_page_matches_the_filter(
    mixed: list[Transaction],
    filters: dict[str, Any],
    most_apps: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history, "MOST_APPS", most_apps)
    listed = History("alice", filters)
    wanted = expected(mixed, filters)
    if most_apps == 2 and "app_id" not in filters:
        wanted.sort(reverse=True)  # too many apps to merge

    everything = [row.number for row in listed.page(limit=100)]
    second = [row.number for row in listed.page(limit=4, offset=3)]
    walked = list(walk(listed, by=4))

    assert everything == wanted
    assert second == wanted[3:7]
    assert walked == wanted


@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("place", [{}, {"offset": 3}, {"cursor": 20}, {"offset": 2, "cursor": 20}])
def test_entries_are_the_rows_of_the_page(
    mixed: list[Transaction], filters: dict[str, Any], place: dict[str, int]
) -> None:
    listed = History("alice", filters)

    entries = listed.entries(limit=8, **place)

    assert entries == [
        HistoryEntry(*(getattr(row, name) for name in HistoryEntry._fields))._replace(
            id=str(row.id)
        )
        for row in listed.page(limit=8, **place)
    ]


def walk(listed: History, *, by: int) -> Iterator[int]:
    """Yield the numbers of all pages, following the cursor."""
    cursor = None
    while rows := listed.page(limit=by, cursor=cursor):
        yield from (row.number for row in rows)
        cursor = rows[-1].number


def test_a_cursor_beyond_the_newest_is_the_first_page(mixed: list[Transaction]) -> None:
    rows = History("alice", {"app_id": "chat"}).page(limit=2, cursor=10**6)

    assert [row.number for row in rows] == expected(mixed, {"app_id": "chat"})[:2]


@pytest.fixture
def long() -> datetime:
    """Create a year of usages in one app with 4 other rows in between. Return their time."""
    give("alice", 10**6)
    at = datetime.now(UTC) - timedelta(days=200)
    with connection.cursor() as cursor:
        with as_owner():
            cursor.execute(GROW.read_text().replace(":users", "true").replace(":each", str(ROWS)))
        damage("UPDATE credits.transactions SET app_id = 'rare' WHERE number IN (1001, 2002, 3003)")
        with as_owner():
            cursor.execute("ANALYZE")
    return at


@pytest.mark.breaks_the_books
def test_a_page_reads_no_more_rows_than_it_returns(long: datetime) -> None:
    cases: list[tuple[dict[str, Any], int, int]] = [
        ({}, ROWS - 40, 41),
        ({}, 0, 50),
        ({"type": "grant"}, 0, 1),
        ({"type": "usage"}, 0, 50),
        ({"app_id": "rare"}, 0, 3),
        ({"app_id": "rare", "type": "usage"}, 0, 3),
        ({"app_id": "nothing"}, 0, 0),
        ({"created_at__lte": long}, 0, 50),
        ({"created_at__gte": long, "created_at__lte": long + timedelta(days=1)}, 0, 16),
    ]

    for filters, offset, count in cases:
        rows, read = page_and_rows_read(filters, offset)

        inexact = 2 if "created_at__gte" in filters else 0
        assert rows == pytest.approx(count, abs=inexact), filters
        assert read <= MOST_READ, filters


def page_and_rows_read(filters: dict[str, Any], offset: int) -> tuple[int, int]:
    """Return how many rows a page has, and how many its statements read."""
    with CaptureQueriesContext(connection) as queries:
        rows = History("alice", filters).page(limit=50, offset=offset)
    return len(rows), sum(rows_read(one["sql"]) for one in queries.captured_queries)


@pytest.mark.breaks_the_books
def test_the_prepared_list_reads_no_more_rows_than_it_returns(long: datetime) -> None:
    cases: list[tuple[str, list[Any]]] = [
        (BEFORE, ["alice", LARGEST_NUMBER, 51]),
        (BEFORE, ["alice", 3000, 51]),
        (AFTER_OFFSET, ["alice", "alice", ROWS - 60, 51]),
    ]

    for plans in ("force_custom_plan", "force_generic_plan"):
        for statement, arguments in cases:
            read = prepared_rows_read(statement, arguments, plans)

            assert 51 <= read <= MOST_READ, (plans, arguments)


def prepared_rows_read(statement: str, arguments: list[Any], plans: str) -> int:
    """Return how many rows a prepared statement reads with this kind of plans."""
    types = ", ".join("text" if isinstance(one, str) else "bigint" for one in arguments)
    numbered = statement.replace("%s", "${}").format(*range(1, len(arguments) + 1))
    given = ", ".join(f"'{one}'" if isinstance(one, str) else str(one) for one in arguments)
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL plan_cache_mode = {plans}")
        cursor.execute(f"PREPARE listed ({types}) AS {numbered}")
        read = rows_read(f"EXECUTE listed ({given})")
        cursor.execute("DEALLOCATE listed")
    return read
