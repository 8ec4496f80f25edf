"""`manage.py ledger_report`: a month's movements, and that they add up."""

import csv
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from credits.ledger import ledger, reservations
from credits.ledger.posting import Memo, Origin, Posting, Priced
from credits.reporting import ledger_report
from credits.reporting.ledger_report import OperationUsage, Standing, TransactionSum
from credits.reporting.months import MonthNotBegun
from tests.factories import gift, redeem
from tests.owner import as_owner

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 23, tzinfo=UTC)
SEPTEMBER = datetime(2026, 9, 30, 23, 59, 59, 999000, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)
LATE_OCTOBER = datetime(2026, 10, 31, 23, 59, 59, 999000, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)


def at(moment: datetime) -> Origin:
    return Origin("service:test", at=moment)


def grant(user_id: str, amount: str, moment: datetime) -> Posting:
    return ledger.grant(
        user_id, Decimal(amount), memo=Memo(), origin=at(moment), cause=f"grant:{uuid4()}"
    )


def spend(
    user_id: str, amount: Decimal | Priced, moment: datetime, app_id: str = "chat"
) -> Posting:
    return ledger.spend(user_id, amount, memo=Memo(app_id), origin=at(moment))


@pytest.fixture
def alice() -> str:
    """Create a user with entries around both ends of October."""
    grant("alice", "100", SEPTEMBER)
    spend("alice", Decimal("1.5"), SEPTEMBER)
    grant("alice", "20", OCTOBER)
    ledger.credit_purchase(
        "alice", Decimal(500), memo=Memo(), origin=at(OCTOBER), purchase_id=uuid4()
    )
    ledger.claw_back("alice", Decimal(40), memo=Memo(), origin=at(OCTOBER), cause="refund:re_1")
    usage = spend("alice", Priced("ai_chat_gpt4"), OCTOBER)
    spend("alice", Priced("ai_chat_gpt4"), LATE_OCTOBER)
    spend("alice", Decimal("0.1"), LATE_OCTOBER)
    ledger.refund(
        "alice",
        Decimal(2),
        memo=Memo("chat"),
        origin=at(LATE_OCTOBER),
        usage_id=usage.transaction.pk,
    )
    ledger.adjust("alice", Decimal(-3), memo=Memo(), origin=at(LATE_OCTOBER))
    spend("alice", Decimal(7), NOVEMBER, "picture")
    return "alice"


@pytest.mark.breaks_the_books  # a purchase and a refund without their rows
def test_a_month_has_what_happened_in_it(alice: str) -> None:
    made = ledger_report.of_month(OCTOBER.date(), now=NOW)

    assert made.opening == Standing(Decimal("98.5"), Decimal(0), Decimal(0))
    assert {name: moved for name, moved in made.movements.items() if moved.entries} == {
        "sold": TransactionSum(1, Decimal(500)),
        "granted": TransactionSum(1, Decimal(20)),
        "spent": TransactionSum(3, Decimal("-10.1")),
        "refunded": TransactionSum(1, Decimal(2)),
        "clawed back": TransactionSum(1, Decimal(-40)),
        "adjusted downwards": TransactionSum(1, Decimal(-3)),
    }
    assert made.closing == Standing(Decimal("567.4"), Decimal(0), Decimal(0))
    assert made.difference == 0
    assert made.usage == [
        OperationUsage("chat", None, TransactionSum(1, Decimal("-0.1")), TransactionSum()),
        OperationUsage(
            "chat", "ai_chat_gpt4", TransactionSum(2, Decimal(-10)), TransactionSum(1, Decimal(2))
        ),
    ]


@pytest.mark.breaks_the_books
def test_a_month_begins_with_what_the_last_one_ended_with(alice: str) -> None:
    september, october, november = (
        ledger_report.of_month(moment.date(), now=NOW) for moment in (SEPTEMBER, OCTOBER, NOVEMBER)
    )

    assert september.opening == Standing(Decimal(0), Decimal(0), Decimal(0))
    assert september.closing == october.opening
    assert october.closing == november.opening
    assert november.closing.posted == Decimal("560.4")


def test_what_was_held_is_that_of_the_moment() -> None:
    grant("alice", "100", SEPTEMBER)
    for amount, made, settled in (
        ("1", SEPTEMBER, OCTOBER),
        ("2", LATE_OCTOBER - timedelta(days=1), LATE_OCTOBER),
        ("4", LATE_OCTOBER, NOVEMBER),
        ("8", SEPTEMBER, None),
    ):
        hold = reservations.reserve(
            "alice", Decimal(amount), reason="x", origin=at(made), ttl=timedelta(days=7)
        )
        if settled:
            reservations.release(hold.reservation.pk, origin=at(settled))

    made_of = ledger_report.of_month(OCTOBER.date(), now=NOW)

    assert (made_of.opening.held, made_of.closing.held) == (9, 12)


def test_gifts_are_on_their_way_between_two_balances() -> None:
    now = datetime.now(UTC)
    grant("alice", "100", now)
    redeem(gift("alice", 10), "bob")
    gift("alice", 5)

    made = ledger_report.of_month(now.date(), now=now)

    assert made.movements["put into gifts"] == TransactionSum(2, Decimal(-15))
    assert made.movements["out of gifts"] == TransactionSum(1, Decimal(10))
    assert (made.closing.posted, made.closing.in_gifts, made.difference) == (95, 5, 0)


def test_december_ends_with_the_year() -> None:
    grant("alice", "1", datetime(2025, 12, 31, 23, 59, tzinfo=UTC))
    grant("alice", "2", datetime(2026, 1, 1, tzinfo=UTC))

    made = ledger_report.of_month(datetime(2025, 12, 1, tzinfo=UTC).date(), now=NOW)

    assert made.movements["granted"] == TransactionSum(1, Decimal(1))
    assert made.closing.posted == 1


def test_a_month_that_has_not_begun_has_no_report() -> None:
    with pytest.raises(MonthNotBegun):
        ledger_report.of_month(datetime(2026, 12, 1, tzinfo=UTC).date(), now=NOW)
    with pytest.raises(CommandError, match="has not started"):
        call_command("ledger_report", "--month=2999-01")


def test_every_movement_has_a_name() -> None:
    assert {kind for kind, _ in ledger_report.NAMES} == set(ledger.Type)


@pytest.mark.breaks_the_books
def test_the_command_prints_and_writes_it(alice: str, tmp_path: Path) -> None:
    out, path = StringIO(), tmp_path / "october.csv"

    call_command("ledger_report", "--month=2026-10", "--csv", str(path), stdout=out)

    lines = [line.split() for line in out.getvalue().splitlines()]
    assert ["opening", "posted", "98.5000"] in lines
    assert ["movement", "sold", "1", "500.0000"] in lines
    assert ["closing", "posted", "567.4000"] in lines
    assert ["spent", "chat", "ai_chat_gpt4", "2", "-10.0000"] in lines
    assert lines[-1] == ["Opening", "and", "movements", "equal", "the", "closing."]
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["month", "section", "name", "operation", "count", "credits"]
    assert ["2026-10", "movement", "clawed back", "", "1", "-40.0000"] in rows
    assert ["2026-10", "refunded", "chat", "ai_chat_gpt4", "1", "2.0000"] in rows
    assert len(rows) == 1 + 3 + 13 + 3 + 3


@pytest.mark.breaks_the_books
def test_books_that_do_not_close_are_an_error() -> None:
    grant("alice", "10", OCTOBER)
    with connection.cursor() as cursor, as_owner():
        cursor.execute("UPDATE credits.balances SET posted = 9, total_earned = 9")

    with pytest.raises(CommandError, match=r"differ from the closing by -1\.0000"):
        call_command("ledger_report", "--month=2026-10", stdout=StringIO())


@pytest.mark.parametrize("month", ["2026-13", "2026", "October", "2026-10-01"])
def test_a_month_is_written_in_one_way(month: str) -> None:
    with pytest.raises(CommandError, match="expected a month"):
        call_command("ledger_report", f"--month={month}")
