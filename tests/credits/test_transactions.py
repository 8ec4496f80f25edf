"""Users read their transactions page by page, newest first."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlsplit

import pytest

from credits.ledger import ledger
from credits.ledger.posting import Memo, Origin
from credits.models import Transaction
from tests.api import Answer, Caller
from tests.factories import give, hold, spend

pytestmark = pytest.mark.django_db


def grow(user_id: str, rows: int) -> None:
    """Post `rows` adjustments of one credit."""
    for _ in range(rows):
        ledger.adjust(user_id, Decimal(1), memo=Memo(), origin=Origin("operator:anna"))


def numbers(answer: Answer) -> list[int]:
    assert answer.status_code == 200
    ids = [row["id"] for row in answer.json()]
    by_id = {str(row.pk): row.number for row in Transaction.objects.filter(pk__in=ids)}
    return [by_id[one] for one in ids]


def next_page(answer: Answer) -> str | None:
    if "Link" not in answer:
        return None
    link = re.fullmatch(r'<(http://testserver/.+)>; rel="next"', answer["Link"])
    assert link
    parts = urlsplit(link[1])
    return f"{parts.path}?{parts.query}"


def walk(caller: Caller, path: str | None) -> list[list[int]]:
    """Follow the links from `path` to the end. Return the numbers of each page."""
    pages = []
    while path:
        answer = caller.get(path)
        pages.append(numbers(answer))
        path = next_page(answer)
    return pages


def test_a_page_is_an_array_newest_first(alice: Caller) -> None:
    give("alice", 10)
    usage = spend("alice", 2.5).transaction

    answer = alice.get("transactions")

    at = usage.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert [row["type"] for row in answer.json()] == ["usage", "grant"]
    assert answer.json()[0] == {
        "id": str(usage.pk),
        "userId": "alice",
        "type": "usage",
        "status": "completed",
        "amount": -2.5,
        "balanceBefore": 10,
        "balanceAfter": 7.5,
        "appId": "chat",
        "description": "a spend",
        "metadata": None,
        "idempotencyKey": None,
        "createdAt": at,
        "completedAt": at,
    }
    assert "Link" not in answer


def test_a_user_never_seen_has_no_transactions(alice: Caller) -> None:
    answer = alice.get("transactions")

    assert (answer.status_code, answer.json()) == (200, [])


def test_the_rows_of_others_are_never_shown(alice: Caller) -> None:
    give("alice", 10)
    give("bob", 10)
    spend("bob", 1)

    pages = [alice.get(f"transactions{query}") for query in ("", "?cursor=99", "?type=usage")]

    owners = [[row["userId"] for row in page.json()] for page in pages]
    assert owners == [["alice"], ["alice"], []]


def test_an_open_reservation_is_no_transaction(alice: Caller) -> None:
    give("alice", 10)
    hold("alice", 5)

    assert numbers(alice.get("transactions")) == [1]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", list(range(260, 210, -1))),
        ("?limit=3", [260, 259, 258]),
        ("?limit=3&offset=2", [258, 257, 256]),
        ("?limit=3&offset=258", [2, 1]),
        ("?offset=260", []),
        ("?limit=200", list(range(260, 60, -1))),
        ("?limit=201", list(range(260, 60, -1))),
        ("?limit=999999999999999999999", list(range(260, 60, -1))),
        ("?limit=2&cursor=100", [99, 98]),
        ("?limit=2&cursor=2", [1]),
        ("?cursor=1", []),
    ],
)
def test_a_page_is_what_was_asked_for_and_at_most_200_rows(
    alice: Caller, query: str, expected: list[int]
) -> None:
    grow("alice", 260)

    assert numbers(alice.get(f"transactions{query}")) == expected


@pytest.mark.parametrize("start", ["transactions?limit=4", "transactions?limit=4&offset=3"])
def test_the_links_lead_to_the_end(alice: Caller, start: str) -> None:
    grow("alice", 11)

    pages = walk(alice, start)

    first = 8 if "offset" in start else 11
    assert [number for page in pages for number in page] == list(range(first, 0, -1))
    assert [len(page) for page in pages] == ([4, 4] if "offset" in start else [4, 4, 3])


def test_a_cursor_does_not_shift_when_rows_are_added(alice: Caller) -> None:
    grow("alice", 6)
    first = alice.get("transactions?limit=3")
    grow("alice", 2)

    second = alice.get(next_page(first) or "")

    assert numbers(first) + numbers(second) == [6, 5, 4, 3, 2, 1]


def test_the_link_keeps_the_filters(alice: Caller) -> None:
    give("alice", 100)
    for app_id in ("chat", "picture", "chat", "chat", "picture"):
        spend("alice", 1, app_id=app_id)

    pages = walk(alice, "transactions?limit=2&type=usage&appId=chat&from=2026-01-01")

    assert pages == [[5, 4], [2]]


def post_at(*moments: datetime) -> None:
    for moment in moments:
        origin = Origin("operator:anna", at=moment)
        ledger.adjust("alice", Decimal(1), memo=Memo(), origin=origin)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("from=2026-11-22", [4, 3, 2]),
        ("to=2026-11-22", [3, 2, 1]),
        ("from=2026-11-22&to=2026-11-22", [3, 2]),
        ("from=2026-11-22T00:00:00.000Z", [4, 3, 2]),
        ("from=2026-11-22T00:00:00.001Z", [4, 3]),
        ("to=2026-11-22T00:00:00Z", [2, 1]),
        ("to=2026-11-21T23:59:59.999Z", [1]),
        ("from=2026-11-22T01:00:00%2B01:00&to=2026-11-23T01:00:00%2B02:00", [2]),
        ("from=2026-11-22T00:00:00", [4, 3, 2]),
        ("from=2026-11-22t00:00:00.000000z", [4, 3, 2]),
        ("from=2026-11-22%2000:00&to=2026-11-22T05:30%2B0530", [2]),
        ("from=2026-11-22T01:00%2B01", [4, 3, 2]),
        ("from=2099-01-01", []),
    ],
)
def test_spans_of_dates_and_moments_are_utc(alice: Caller, query: str, expected: list[int]) -> None:
    post_at(
        datetime(2026, 11, 21, 23, 59, 59, 999_000, tzinfo=UTC),
        datetime(2026, 11, 22, tzinfo=UTC),
        datetime(2026, 11, 22, 23, 59, 59, 999_000, tzinfo=UTC),
        datetime(2026, 11, 23, tzinfo=UTC),
    )

    assert numbers(alice.get(f"transactions?{query}")) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("type=usage", [3, 2]),
        ("type=grant", [1]),
        ("type=purchase", []),
        ("appId=chat", [2]),
        ("appId=picture&type=usage", [3]),
        ("appId=nobody", []),
    ],
)
def test_filters_choose_rows(alice: Caller, query: str, expected: list[int]) -> None:
    give("alice", 10)
    spend("alice", 1)
    spend("alice", 1, app_id="picture")

    assert numbers(alice.get(f"transactions?{query}")) == expected


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *((f"limit={value}", "limit") for value in ("-1", "0", "abc", "1.5", "", "%00", "1e3")),
        *((f"offset={value}", "offset") for value in ("-1", "abc", "1000001", "", "9" * 5000)),
        *((f"cursor={value}", "cursor") for value in ("0", "-1", "abc", "", str(2**63))),
        ("cursor=5&offset=5", "cursor"),
        *((f"type={value}", "type") for value in ("spend", "", "USAGE", "%00")),
        *((f"appId={value}", "appId") for value in ("", "x" * 101, "a%00b")),
        *((f"from={value}", "from") for value in ("", "yesterday", "2026-02-30", "2026-13-01")),
        *((f"to={value}", "to") for value in ("", "now", "2026-11-22T25:00:00Z", "%00")),
        ("from=0001-01-01T00:00:00%2B14:00", "from"),
        ("to=9999-12-31T23:59:59-14:00", "to"),
    ],
)
def test_invalid_parameters_are_refused_by_name(alice: Caller, query: str, field: str) -> None:
    """In the earlier service, `limit=-1` and `limit=abc` returned all rows."""
    give("alice", 10)

    answer = alice.get(f"transactions?{query}")

    assert answer.status_code == 400
    assert answer.json()["code"] == "validation_failed"
    assert list(answer.json()["details"]) == [field]
