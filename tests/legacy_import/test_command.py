"""`manage.py import_legacy`: the import of the earlier service's ledger."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command

from credits.ledger import ledger, reservations
from credits.ledger.posting import Memo, Origin
from credits.models import (
    Balance,
    Purchase,
    Reservation,
    Transaction,
    UsageStat,
)
from tests.importing import available, chain, findings, named, run
from tests.legacy import Earlier
from tests.owner import as_owner

pytestmark = pytest.mark.usefixtures("committed", "owner")


def test_ids_and_times_stay_and_rows_join(source: str, earlier: Earlier, report: Path) -> None:
    grant = earlier.grant("alice", 100)
    held = earlier.reserve("alice", 10)
    usage = earlier.use("alice", 5)
    commit = earlier.commit(held)
    earlier.flush(source)

    assert run(source, "--apply", report=report) == 0

    assert chain("alice") == [
        (1, "grant", 100, 0, 100),
        (2, "usage", -5, 100, 95),
        (3, "usage", -10, 95, 85),
    ]
    rows = Transaction.objects.order_by("number")
    assert [str(row.pk) for row in rows] == [grant["id"], usage["id"], commit["id"]]
    assert [row.created_at for row in rows] == [row["created_at"] for row in (grant, usage, commit)]
    balance = Balance.objects.get(pk="alice")
    assert (balance.posted, balance.held) == (85, 0)
    assert (balance.total_earned, balance.total_spent) == (100, 15)
    assert named(report) == earlier.planted
    assert ("chain", "alice", None) in earlier.planted


def test_a_dry_run_is_the_default_and_changes_nothing(
    source: str, earlier: Earlier, report: Path
) -> None:
    earlier.grant("alice", 100)
    earlier.lose_a_row("alice", 3)
    earlier.flush(source)

    assert run(source, report=report) == 0
    assert run(source, "--dry-run", report=report) == 0

    assert named(report) == earlier.planted
    assert not Balance.objects.exists()
    assert not Transaction.objects.exists()
    with psycopg.connect(source) as there:
        assert there.execute("SELECT count(*) FROM credits.transactions").fetchone() == (1,)


def test_open_reservations_hold(source: str, earlier: Earlier, report: Path) -> None:
    earlier.grant("alice", 100)
    held = earlier.reserve("alice", 10)
    earlier.let_go(earlier.reserve("alice", 20))
    earlier.flush(source)
    before = datetime.now(UTC)

    assert run(source, "--apply", report=report) == 0

    assert available() == {"alice": 90}
    reservation = Reservation.objects.get()
    assert str(reservation.pk) == held["id"]
    assert (reservation.amount, reservation.status, reservation.app_id) == (10, "open", "research")
    assert reservation.expires_at >= before + timedelta(hours=24)
    reservations.commit(reservation.pk, origin=Origin("service"))
    assert available() == {"alice": 90}


def test_differences_are_adjusted(source: str, earlier: Earlier, report: Path) -> None:
    earlier.grant("alice", 100)
    earlier.reserve("alice", 30)
    earlier.lose_a_row("alice", -20)
    earlier.grant("bob", 5)
    earlier.lose_a_row("bob", 7)
    earlier.lose_a_total("bob", 2)
    earlier.flush(source)

    assert run(source, "--apply", report=report) == 0

    assert available() == {"alice": 50, "bob": 12}
    assert chain("alice") == [(1, "grant", 100, 0, 100), (2, "adjustment", -20, 100, 80)]
    assert chain("bob") == [(1, "grant", 5, 0, 5), (2, "adjustment", 7, 5, 12)]
    opening = Transaction.objects.get(user_id="alice", type="adjustment")
    assert opening.metadata == {
        "reason": "The transactions of the earlier service did not add up to its balance.",
        "balance": 50,
        "transactions": 100,
        "openReservations": 30,
    }
    assert named(report) == earlier.planted
    line = next(row for row in findings(report) if row["user_id"] == "alice")
    numbers = [Decimal(line[name]) for name in ("balance", "rows", "open", "difference")]
    assert numbers == [50, 100, 30, -20]
    assert line["sentence"] == (
        "the balance is 50; 100 of transactions less 30 of open reservations make 70"
    )


def test_a_second_run_brings_only_what_is_new(source: str, earlier: Earlier, report: Path) -> None:
    earlier.grant("alice", 100)
    kept, settled = earlier.reserve("alice", 10), earlier.reserve("alice", 20)
    released = earlier.reserve("alice", 5)
    pending = earlier.purchase("alice")
    earlier.lose_a_row("alice", 1)
    earlier.flush(source)
    run(source, "--apply", report=report)
    ledger.spend("alice", Decimal(2), memo=Memo("new"), origin=Origin("user"))
    earlier.use("alice", 3)
    earlier.commit(settled)
    earlier.let_go(released)
    earlier.pay(pending)
    earlier.grant("bob", 8)
    earlier.flush(source)

    assert run(source, "--apply", report=report) == 0
    once = chain("alice")
    assert run(source, "--apply", report=report) == 0

    assert chain("alice") == once
    assert [(kind, amount) for _, kind, amount, _, _ in once] == [
        ("grant", 100),
        ("adjustment", 1),
        ("usage", -2),
        ("usage", -3),
        ("usage", -20),
        ("purchase", 500),
    ]
    there = earlier.balances["alice"]["balance"]
    assert available() == {"alice": there - 2, "bob": 8}
    states = {str(row.pk): row.status for row in Reservation.objects.all()}
    assert states == {
        kept["id"]: "open",
        settled["id"]: "committed",
        released["id"]: "released",
    }
    assert Purchase.objects.get().status == "completed"
    assert named(report) == earlier.planted


def test_usage_is_counted_by_utc_days(source: str, earlier: Earlier, report: Path) -> None:
    earlier.grant("alice", 10)
    earlier.now = datetime(2025, 6, 1, 22, 30, tzinfo=UTC)
    earlier.use("alice", 2)
    earlier.use("alice", 1)
    earlier.flush(source)

    assert run(source, "--apply", report=report) == 0

    counted = UsageStat.objects.values_list("user_id", "date", "app_id", "credits_used")
    assert list(counted) == [("alice", date(2025, 6, 1), "chat", 3)]
    assert ("usage dates", None, None) in named(report)


def test_without_a_file_the_report_is_on_the_screen(
    source: str, earlier: Earlier, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier.grant("alice", 100)
    earlier.lose_a_row("alice", 3)
    earlier.use("alice", 1)
    earlier.flush(source)

    call_command("import_legacy", f"--source={source}", "--apply")

    lines = capsys.readouterr().out.splitlines()
    assert (
        "User alice: the balance is 102; 99 of transactions less 0 of open reservations make 99 "
        "(difference)." in lines
    )
    assert any(line.endswith("counted from the transactions (usage dates).") for line in lines)
    assert ["found:", "difference", "1"] in [line.split() for line in lines]
    assert lines[-1] == "The books close, and every balance equals the source's."


def test_a_balance_that_is_not_the_sources_fails_the_run(
    source: str, earlier: Earlier, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier.grant("alice", 100)
    earlier.flush(source)
    run(source, "--apply", report=report)
    with as_owner():
        Balance.objects.update(posted=101, total_earned=101)

    code = run(source, "--apply", report=report)

    said = capsys.readouterr().err
    assert code == 1
    assert "User alice: the balance is 101.0000, but 100 in the source." in said
    assert "User alice: posted is 101.0000, the transactions sum up to 100.0000" in said
    call_command("backfill_balances", "--apply")
    assert run(source, "--apply", report=report) == 0
    assert available() == {"alice": 100}
