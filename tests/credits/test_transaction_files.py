"""Users save their transactions as CSV files."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from credits.api import transaction_files
from credits.ledger import ledger
from credits.ledger.posting import Memo, Origin
from tests.api import Answer, Caller
from tests.factories import give, spend

pytestmark = pytest.mark.django_db


def rows(answer: Answer) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.content
    text = answer.content.decode()
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text[1:], newline="")))


def amounts(answer: Answer) -> list[str]:
    return [row["amount"] for row in rows(answer)]


def test_a_file_has_the_columns_of_the_list_newest_first(alice: Caller) -> None:
    give("alice", 10)
    usage = spend("alice", "0.1").transaction

    answer = alice.get("transactions.csv")

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == ('attachment; filename="mana-credits-transactions.csv"')
    assert [row["type"] for row in rows(answer)] == ["usage", "grant"]
    assert rows(answer)[0] == {
        "createdAt": usage.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "type": "usage",
        "amount": "-0.1000",
        "balanceBefore": "10.0000",
        "balanceAfter": "9.9000",
        "appId": "chat",
        "description": "a spend",
        "id": str(usage.pk),
        "units": "",
    }
    assert "Link" not in answer


def test_a_user_never_seen_gets_the_header_alone(alice: Caller) -> None:
    answer = alice.get("transactions.csv")

    assert rows(answer) == []
    assert answer.content.decode().count("\n") == 1


def test_a_file_has_the_rows_of_the_caller_alone(alice: Caller) -> None:
    give("alice", 10)
    give("bob", 7)

    assert amounts(alice.get("transactions.csv")) == ["10.0000"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("type=usage", ["-3.0000", "-2.0000"]),
        ("appId=picture", ["-3.0000"]),
        ("type=grant", ["10.0000"]),
        ("to={yesterday}", ["-2.0000"]),
        ("from={yesterday}&to={yesterday}&appId=chat", ["-2.0000"]),
    ],
)
def test_the_filters_are_those_of_the_list(alice: Caller, query: str, expected: list[str]) -> None:
    give("alice", 10)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    spend("alice", 2, at=yesterday)
    spend("alice", 3, app_id="picture")
    chosen = query.format(yesterday=yesterday.date())

    assert amounts(alice.get(f"transactions.csv?{chosen}")) == expected
    listed = alice.get(f"transactions?{chosen}").json()
    assert [Decimal(amount) for amount in expected] == [row["amount"] for row in listed]


@pytest.mark.parametrize("query", ["", "type=usage", "appId=chat", "from=2020-01-01"])
def test_the_links_lead_through_all_files(
    alice: Caller, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction_files, "ROWS", 3)
    give("alice", 100)
    for amount in range(1, 9):
        spend("alice", amount)
    seen: list[list[str]] = []
    path: Any = f"transactions.csv?{query}"

    while path:
        answer = alice.get(path)
        seen.append(amounts(answer))
        link = re.fullmatch(r'<http://testserver(/.+)>; rel="next"', answer.get("Link", ""))
        path = link and link[1]
        assert not path or all(part in path for part in query.split("&"))

    spent = [f"-{amount}.0000" for amount in range(8, 0, -1)]
    assert [one for file in seen for one in file if one != "100.0000"] == spent
    assert [len(file) for file in seen[:-1]] == [3, 3]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\u200b=1", '";=cmd', "a\n=1"])
def test_no_text_is_a_formula(alice: Caller, text: str) -> None:
    give("alice", 10)
    ledger.spend("alice", Decimal(1), memo=Memo(text, text), origin=Origin("user"))

    (usage, _) = rows(alice.get("transactions.csv"))

    for cell in (usage["description"], usage["appId"]):
        assert cell.replace("'", "") == text
        assert "'" in cell


@pytest.mark.parametrize(
    ("query", "field"),
    [("cursor=0", "cursor"), ("cursor=x", "cursor"), ("type=x", "type"), ("to=x", "to")],
)
def test_a_wrong_parameter_is_named(alice: Caller, query: str, field: str) -> None:
    answer = alice.get(f"transactions.csv?{query}")

    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")
    assert list(answer.json()["details"]) == [field]


def test_a_span_that_ends_before_it_begins_is_refused(alice: Caller) -> None:
    answer = alice.get("transactions.csv?from=2026-02-02&to=2026-02-01")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_span")


def test_nobody_gets_a_file_without_a_token() -> None:
    answer = Caller({}, prefix="/api/v1/credits/").get("transactions.csv")

    assert answer.status_code == 401
