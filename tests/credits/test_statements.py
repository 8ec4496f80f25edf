"""A month's statement: opening, movements, closing, held, and what never changes afterwards."""

import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from credits.ledger import anchors, ledger, reservations
from credits.ledger.posting import Memo, Origin
from credits.models import Balance, Transaction
from credits.reporting import statements
from credits.reporting.months import MonthNotBegun
from credits.reporting.statements import Statement
from mana_credits.privacy import erasure
from tests.api import Caller
from tests.factories import give, hold, spend

pytestmark = pytest.mark.django_db

# Rows of the past would be booked today, so the months of these tests lie in the future.
FIRST, SECOND, THIRD = date(2031, 1, 1), date(2031, 2, 1), date(2031, 3, 1)
LATER = datetime(2031, 6, 1, tzinfo=UTC)


def at(day: date, hour: int = 12, **more: int) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC) + timedelta(**more)


def grant(user_id: str, amount: str, when: datetime) -> None:
    ledger.grant(
        user_id,
        Decimal(amount),
        memo=Memo(description="Welcome"),
        origin=Origin("system", at=when),
        cause=f"grant:{when.isoformat()}",
    )


def of(user_id: str, first: date, sheet: int = 1, now: datetime = LATER) -> Statement:
    return statements.of_month(user_id, first, sheet=sheet, now=now)


def amounts(statement: Statement) -> list[Decimal]:
    return [one.amount for one in statement.movements]


@pytest.fixture
def three_months() -> None:
    """Alice gets 100 credits, spends 0.1 and 2.5 in the second month, and 7 in the third."""
    grant("alice", "100", at(FIRST))
    spend("alice", "0.1", at=at(SECOND, 0))
    spend("alice", "2.5", at=at(SECOND, 23, days=27, minutes=59))
    spend("alice", "7", at=at(THIRD, 0))


@pytest.mark.usefixtures("three_months")
def test_each_month_begins_with_the_closing_of_the_one_before() -> None:
    found = [of("alice", month) for month in (FIRST, SECOND, THIRD, date(2031, 4, 1))]

    assert [(one.opening, one.closing, one.count) for one in found] == [
        (0, 100, 1),
        (100, Decimal("97.4"), 2),
        (Decimal("97.4"), Decimal("90.4"), 1),
        (Decimal("90.4"), Decimal("90.4"), 0),
    ]
    assert amounts(found[1]) == [Decimal("-0.1"), Decimal("-2.5")]
    assert [one.number for one in found[1].movements] == [2, 3]
    assert [one.last_number for one in found] == [1, 3, 4, 4]


@pytest.mark.usefixtures("three_months")
def test_the_digest_is_that_of_the_chain_at_the_end_of_the_month() -> None:
    digests = {
        number: bytes(digest).hex()
        for number, digest in Transaction.objects.values_list("number", "digest")
    }

    assert of("alice", SECOND).digest == digests[3]
    assert of("alice", date(2031, 5, 1)).digest == digests[4]
    (standing,) = anchors.compute([date(2031, 2, 28)])
    assert standing.sum == of("alice", SECOND).closing


def test_a_user_without_movements_gets_an_empty_statement() -> None:
    found = of("nobody", SECOND)

    assert (found.opening, found.closing, found.held, found.digest) == (0, 0, 0, None)
    assert (found.count, found.sheets, found.movements, found.final) == (0, 1, [], True)


def test_a_balance_without_transactions_is_empty_too() -> None:
    ledger.ensure_balance("alice", origin=Origin("system"))

    assert of("alice", SECOND).movements == []
    assert of("alice", SECOND).digest is None


@pytest.mark.parametrize(
    ("now", "final"),
    [(at(SECOND), False), (at(THIRD, 0), False), (at(THIRD, 1), False), (at(THIRD, 2), True)],
)
def test_a_statement_is_final_when_nothing_can_join_the_month(now: datetime, final: bool) -> None:
    assert of("alice", SECOND, now=now).final is final


def test_a_month_in_the_future_has_no_statement() -> None:
    with pytest.raises(MonthNotBegun):
        of("alice", SECOND, now=at(FIRST))


def test_imported_history_is_in_the_month_in_which_it_was_written() -> None:
    spent = datetime(2025, 5, 5, tzinfo=UTC)
    grant("alice", "10", spent)
    now = datetime.now(UTC)

    then = of("alice", date(2025, 5, 1))
    today = of("alice", now.date().replace(day=1), now=now)

    assert then.movements == []
    (movement,) = today.movements
    assert (movement.created_at, movement.amount) == (spent, 10)
    assert movement.recorded_at is not None
    assert movement.recorded_at.date() == now.date()


def test_rows_out_of_order_around_midnight_keep_their_place_in_the_chain() -> None:
    grant("alice", "10", at(FIRST))
    spend("alice", 1, at=at(SECOND, 0, minutes=40))
    spend("alice", 2, at=at(SECOND, 0, minutes=-10))
    spend("alice", 3, at=at(SECOND, 1))

    january, february = of("alice", FIRST), of("alice", SECOND)

    assert amounts(january) == [10, -1, -2]
    assert amounts(february) == [-3]
    assert january.closing == february.opening == 7


def test_sheets_cut_a_month_without_gap_or_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "MOVEMENTS_PER_SHEET", 2)
    grant("alice", "10", at(FIRST))
    for _ in range(5):
        spend("alice", 1, at=at(SECOND))

    found = [of("alice", SECOND, sheet) for sheet in (1, 2, 3, 4)]

    assert [[one.number for one in sheet.movements] for sheet in found] == [[2, 3], [4, 5], [6], []]
    assert {(one.opening, one.closing, one.count, one.sheets) for one in found} == {(10, 5, 5, 3)}


def test_held_credits_are_those_that_were_open_at_the_end() -> None:
    give("alice", 100)
    kept, released = hold("alice", 10), hold("alice", 5)
    time.sleep(0.002)  # rows have milliseconds
    end = hold("alice", 1).created_at
    reservations.release(released.pk, origin=Origin("service"))
    reservations.commit(kept.pk, description="done", origin=Origin("service"))

    with connection.cursor() as cursor:
        assert statements._held(cursor, "alice", end) == 15
        assert statements._held(cursor, "alice", end - timedelta(minutes=1)) == 0
    assert of("alice", end.date().replace(day=1), now=end).held == 1


def test_the_history_of_others_is_in_no_statement() -> None:
    grant("bob", "5", at(SECOND))

    assert of("alice", SECOND).count == 0


def test_an_erased_user_leaves_no_statement_and_begins_anew() -> None:
    grant("alice", "100", at(FIRST))
    erasure.erase("alice")
    grant("alice", "1", at(SECOND))

    found = of("alice", SECOND)

    assert (found.opening, found.closing, amounts(found)) == (0, 1, [1])
    assert of("alice", FIRST).movements == []
    assert Balance.objects.count() == 2


def test_the_statement_is_a_snapshot_of_a_few_statements(
    django_assert_max_num_queries: Any,
) -> None:
    grant("alice", "100", at(SECOND))

    with django_assert_max_num_queries(7):
        of("alice", SECOND)


def test_the_last_transaction_of_a_month_is_found_by_index() -> None:
    values: dict[str, Any] = {"user": "alice", "end": LATER, "settled": LATER}
    statements_and_values: tuple[tuple[str, dict[str, Any]], ...] = (
        (statements._LAST_BEFORE, {}),
        (statements._MOVEMENTS, {"after": 1, "last": 501}),
        (statements._HELD, {"oldest": "019b0000-0000-7000-8000-000000000000"}),
    )
    for sql, more in statements_and_values:
        with connection.cursor() as cursor:
            # Without statistics, the planner may prefer to sort the few rows of a test.
            for other in ("seqscan", "bitmapscan", "sort"):
                cursor.execute(f"SET LOCAL enable_{other} = off")
            cursor.execute("EXPLAIN " + sql, {**values, **more})
            plan = "\n".join(line for (line,) in cursor.fetchall())
        assert "Seq Scan" not in plan, plan
        assert "Sort" not in plan, plan


THIS_MONTH = f"{datetime.now(UTC):%Y-%m}"


@pytest.fixture(autouse=True)
def this_month(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set THIS_MONTH to the month of the test: the suite may run over a month's end."""
    monkeypatch.setitem(globals(), "THIS_MONTH", f"{datetime.now(UTC):%Y-%m}")


def test_the_api_writes_amounts_as_everywhere(alice: Caller) -> None:
    give("alice", "100.0001")
    spend("alice", "0.1")
    hold("alice", 2.5)

    answer = alice.get(f"statements/{THIS_MONTH}").json()["statement"]

    assert (answer["userId"], answer["month"], answer["final"]) == ("alice", THIS_MONTH, False)
    assert (answer["opening"], answer["closing"], answer["held"]) == (0, 99.9001, 2.5)
    assert [one["amount"] for one in answer["movements"]] == [100.0001, -0.1]
    assert [one["balanceAfter"] for one in answer["movements"]] == [100.0001, 99.9001]


def test_the_statement_of_others_is_out_of_reach(alice: Caller, bob: Caller) -> None:
    give("bob", 7)

    own = alice.get(f"statements/{THIS_MONTH}?userId=bob&user_id=bob").json()["statement"]

    assert (own["userId"], own["count"], own["closing"]) == ("alice", 0, 0)
    assert bob.get(f"statements/{THIS_MONTH}").json()["statement"]["count"] == 1


@pytest.mark.parametrize(
    "month", ["2026-13", "2026-00", "2026-1", "26-10", "2026-10-01", "1999-12", "२०२६-१०", "x"]
)
def test_what_is_no_month_is_refused(alice: Caller, month: str) -> None:
    answer = alice.get(f"statements/{month}")

    assert answer.status_code == 400
    assert answer.json()["code"] == "validation_failed"
    assert answer.json()["details"] == {"month": ["A month such as 2026-10 is expected."]}


@pytest.mark.parametrize("sheet", ["0", "-1", "x", "1000001", "1&sheet=2"])
def test_what_is_no_sheet_is_refused(alice: Caller, sheet: str) -> None:
    assert alice.get(f"statements/{THIS_MONTH}?sheet={sheet}").status_code == 400


@pytest.mark.parametrize("month", ["2999-01", "9999-12"])
def test_a_month_to_come_is_refused_with_its_name(alice: Caller, month: str) -> None:
    answer = alice.get(f"statements/{month}")

    assert (answer.status_code, answer.json()["code"]) == (400, "month_not_begun")
