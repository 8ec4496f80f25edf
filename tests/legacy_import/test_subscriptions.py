"""The import names periods of Cloud Sync that were charged twice, and prices that change."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.importing import findings, named, run
from tests.legacy import Earlier

pytestmark = pytest.mark.usefixtures("committed", "owner")

Output = pytest.CaptureFixture[str]


def sentences(report: Path, kind: str) -> dict[str, str]:
    return {row["user_id"]: row["sentence"] for row in findings(report) if row["kind"] == kind}


def test_periods_that_were_charged_again_are_named_with_their_sums(
    source: str, earlier: Earlier, report: Path, capsys: Output
) -> None:
    for user in ("at-once", "renewed", "again", "proper"):
        earlier.grant(user, 1000)
    for _ in range(5):  # activated at once
        earlier.subscribe("at-once")
    for user in ("renewed", "proper", "again"):
        earlier.subscribe(user)
    earlier.now += timedelta(days=20)
    earlier.subscribe("again")  # turned off and on within the paid month
    earlier.now += timedelta(days=11)
    for _ in range(3):
        earlier.charge_sync("renewed")
    earlier.charge_sync("proper")
    earlier.now += timedelta(days=31)
    earlier.charge_sync("renewed")
    earlier.charge_sync("proper")
    earlier.flush(source)

    assert run(source, report=report) == 0

    assert named(report) == earlier.planted
    assert sentences(report, "doubled charge") == {
        "at-once": "the period of Cloud Sync from 2025-01-01 was charged 5 times, "
        "120 credits too much",
        "renewed": "the period of Cloud Sync from 2025-02-01 was charged 3 times, "
        "60 credits too much",
        "again": "the period of Cloud Sync from 2025-01-01 was charged 2 times, "
        "30 credits too much",
    }
    lines = [row for row in findings(report) if row["kind"] == "doubled charge"]
    assert {(row["user_id"], row["surplus"], row["credits"]) for row in lines} == {
        ("at-once", "4", "120"),
        ("renewed", "2", "60"),
        ("again", "1", "30"),
    }
    assert "3 (7 surplus charges, 210 credits)" in capsys.readouterr().out


@pytest.mark.parametrize("day", [29, 30, 31])
def test_renewals_at_month_ends_double_nothing(
    source: str, earlier: Earlier, report: Path, day: int
) -> None:
    earlier.grant("alice", 1000)
    earlier.now = datetime(2025, 1, day, 12, tzinfo=UTC)
    earlier.subscribe("alice")
    for month, date in ((3, 1), (4, 1), (4, 30), (6, 2)):
        earlier.now = datetime(2025, month, date, 3, tzinfo=UTC)
        earlier.charge_sync("alice")
    earlier.flush(source)

    assert run(source, report=report) == 0

    assert named(report) == earlier.planted
    assert sentences(report, "doubled charge") == {}


def test_another_price_is_named_with_what_is_charged_next_and_when(
    source: str, earlier: Earlier, report: Path
) -> None:
    due = datetime(2036, 3, 1, 12, tzinfo=UTC)
    for user in ("monthly", "yearly", "overdue", "same", "off", "given"):
        earlier.grant(user, 1000)
    earlier.subscribe("monthly", next_charge_at=due)
    earlier.subscribe("yearly", billing_interval="yearly", amount_charged=360, next_charge_at=due)
    earlier.subscribe("overdue")
    earlier.subscribe("same", amount_charged=5, next_charge_at=due)
    earlier.planted.remove(("subscription price", "same", None))
    earlier.subscribe("off", active=False)
    earlier.subscribe("given", is_gifted=True, gifted_by="admin")
    earlier.flush(source)

    assert run(source, report=report) == 0

    assert named(report) == earlier.planted
    assert sentences(report, "subscription price") == {
        "monthly": "Cloud Sync (monthly) cost 30 credits, the catalogue says 5; "
        "5 are charged on 2036-03-01",
        "yearly": "Cloud Sync (yearly) cost 360 credits, the catalogue says 60; "
        "60 are charged on 2036-03-01",
        "overdue": "Cloud Sync (monthly) cost 30 credits, the catalogue says 5; "
        "5 are charged as soon as the worker runs",
    }
