"""Each night one digest over all users is written, which tells of any later change of history."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from prometheus_client import generate_latest
from prometheus_client.core import CollectorRegistry
from structlog.testing import capture_logs

from credits import worker
from credits.ledger import anchors, ledger_checks
from credits.ledger.ledger_checks import CheckScope
from credits.models import Anchor, Transaction
from mana_credits.database_metrics import StateCollector
from mana_credits.privacy import erasure
from tests.api import Caller
from tests.credits.test_check_ledger import check, damage
from tests.factories import give, spend

pytestmark = pytest.mark.django_db

TODAY = datetime.now(UTC).date()  # of the import; `today` sets the day of the test
ONE_DAY = timedelta(days=1)
PATH = "/api/v1/anchors"


def at(days: int, hour: int = 12) -> datetime:
    """Return a moment of the day that is so many days from today."""
    return datetime(TODAY.year, TODAY.month, TODAY.day, hour, tzinfo=UTC) + days * ONE_DAY


def make(days: int) -> list[Anchor]:
    """Make what is due at night, so many days from today."""
    return list(anchors.make_due(now=at(days, 2)))


def make_all(days: int) -> list[Anchor]:
    """Make today's anchor, and those of the nights after it."""
    return [*make(1), *make(days)]


# Gives alice's second transaction another amount, and every later row of hers a digest that fits.
REWRITE = """
DO $$
DECLARE
    row record;
    previous bytea;
BEGIN
    UPDATE credits.transactions SET amount = -20, spent_change = 20, balance_after = 80
        WHERE user_id = 'alice' AND number = 2;
    UPDATE credits.transactions SET
        balance_before = balance_before - 10, balance_after = balance_after - 10
        WHERE user_id = 'alice' AND number > 2;
    UPDATE credits.balances SET posted = posted - 10, total_spent = total_spent + 10
        WHERE user_id = 'alice';
    UPDATE credits.usage_stats SET credits_used = credits_used + 10 WHERE date = (
        SELECT (created_at AT TIME ZONE 'UTC')::date FROM credits.transactions
        WHERE user_id = 'alice' AND number = 2);
    FOR row IN
        SELECT t AS entry, b.chain_id, b.chain_salt FROM credits.transactions t
        JOIN credits.balances b USING (user_id) WHERE user_id = 'alice' ORDER BY number
    LOOP
        previous := credits.transaction_digest(
            row.entry, previous, row.chain_id, credits.texts_digest(row.entry, row.chain_salt));
        UPDATE credits.transactions SET digest = previous
            WHERE user_id = 'alice' AND id = (row.entry).id;
    END LOOP;
    UPDATE credits.balances SET last_digest = previous WHERE user_id = 'alice';
END $$
"""


@pytest.fixture(autouse=True)
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set TODAY to the day of the test: the suite may run over midnight."""
    monkeypatch.setitem(globals(), "TODAY", datetime.now(UTC).date())


@pytest.fixture
def history() -> None:
    """Two users with credits from today, one of whom spends today, tomorrow and the day after."""
    give("alice", 100)
    give("bob", 5)
    for days in (0, 1, 2):
        spend("alice", 10, at=max(at(days), datetime.now(UTC)))


def keep(tmp_path: Path, rows: Any) -> Path:
    path = tmp_path / "kept.json"
    path.write_text(json.dumps(rows))
    return path


def test_each_day_that_is_over_has_one_anchor(history: None) -> None:
    first, second = make(1), make(3)

    assert [(one.day, one.count, one.sum) for one in (*first, *second)] == [
        (TODAY, 2, Decimal(95)),
        (TODAY + ONE_DAY, 2, Decimal(85)),
        (TODAY + 2 * ONE_DAY, 2, Decimal(75)),
    ]
    assert make(3) == []
    assert len({one.hex for one in (*first, *second)}) == 3


def test_an_anchor_is_over_the_newest_digests_in_the_order_of_the_chains(history: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT encode(sha256(string_agg(t.digest, '' ORDER BY b.chain_id)), 'hex')
               FROM credits.balances b JOIN credits.transactions t USING (user_id)
               WHERE (user_id, number) IN (('alice', 3), ('bob', 1))"""
        )
        (digest,) = cursor.fetchone()

    _, second = make_all(2)

    assert second.hex == digest


@pytest.mark.parametrize("batch_size", [1, 2, 1000])
def test_an_anchor_is_the_same_in_batches_of_any_size(history: None, batch_size: int) -> None:
    (anchor,) = make(1)

    (standing,) = anchors.compute([TODAY], batch_size=batch_size)

    assert (standing.count, standing.sum, standing.hex) == (2, anchor.sum, anchor.hex)


def test_a_row_of_the_past_joins_no_day_that_has_its_anchor() -> None:
    give("bob", 5)
    (made,) = anchors.make_due(now=at(0, 2))

    past = spend("bob", 1, at=at(-2)).transaction

    assert past.recorded_at is not None
    assert (made.day, made.count) == (TODAY - ONE_DAY, 0)
    assert anchors.check(anchors.claims(last=9)) == []


def test_an_anchor_outlives_movements_of_later_days_and_an_erasure(history: None) -> None:
    make_all(3)
    spend("bob", 1, at=at(3))
    erasure.erase("alice")

    assert anchors.check(anchors.claims(last=9)) == []
    assert Transaction.objects.filter(erased_digest__isnull=False).count() == 4


@pytest.mark.breaks_the_books
def test_a_chain_that_was_rewritten_properly_is_told_by_an_anchor(
    capsys: pytest.CaptureFixture[str], history: None
) -> None:
    assert check(capsys)[0] == 0
    damage(REWRITE)
    assert check(capsys)[0] == 0  # nothing inside the ledger shows it

    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    make_all(2)
    kept = {one.day: one.hex for one in anchors.claims(last=9)}
    damage(
        REWRITE.replace(
            "amount = -20, spent_change = 20, balance_after = 80",
            "amount = -30, spent_change = 30, balance_after = 70",
        )
    )
    code, lines, error = check(capsys)

    told = [line for line in lines if "matches its anchors" in line]
    assert (code, error) == (1, "2 discrepancies\n")
    assert [line.split(" has ")[0] for line in told] == [
        f"Ledger: the anchor of {day}" for day in (TODAY, TODAY + ONE_DAY)
    ]
    assert all(kept[day] in line for day, line in zip(kept, told, strict=True))


@pytest.mark.breaks_the_books
def test_the_nightly_check_of_changes_compares_the_newest_anchor(history: None) -> None:
    list(ledger_checks.check(ledger_checks.full_check(now=at(0))))
    make(2)
    damage(REWRITE)

    found = [one for batch in ledger_checks.check(CheckScope()) for one in batch.discrepancies]

    assert [(one.rule, one.user_id) for one in found if one.rule == anchors.RULE] == [
        (anchors.RULE, "")
    ]


@pytest.mark.breaks_the_books
def test_anchors_kept_elsewhere_tell_of_history_and_anchors_rewritten_together(
    capsys: pytest.CaptureFixture[str], anonymous: Caller, tmp_path: Path, history: None
) -> None:
    make_all(3)
    kept = keep(tmp_path, anonymous.get(PATH).json())
    assert check(capsys, f"--anchors={kept}") == (
        0,
        ["The ledger fits 3 anchors.", "The books close."],
        "",
    )
    damage(REWRITE, "DELETE FROM credits.anchors")
    make_all(3)
    assert check(capsys)[0] == 0

    code, lines, error = check(capsys, f"--anchors={kept}")

    assert (code, len(lines), error) == (1, 3, "3 discrepancies\n")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_anchors_that_windows_saved_are_read(
    capsys: pytest.CaptureFixture[str],
    anonymous: Caller,
    tmp_path: Path,
    history: None,
    encoding: str,
) -> None:
    make_all(3)
    kept = keep(tmp_path, anonymous.get(PATH).json())
    kept.write_bytes(kept.read_text().encode(encoding))

    assert check(capsys, f"--anchors={kept}")[0] == 0


@pytest.mark.parametrize("content", [None, b"[\xff]"])
def test_a_file_of_anchors_that_cannot_be_read_is_named(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "kept.json"
    path.write_bytes(content) if content else path.mkdir()

    with pytest.raises(CommandError, match=r"kept\.json cannot be read: [^\n]+\.$"):
        call_command("check_ledger", f"--anchors={path}")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        "[1]",
        '[{"day": "2026-11-27"}]',
        '[{"day": 3, "count": 1}]',
        "\x00",
        "[" * 9_999,
    ],
)
def test_a_file_that_holds_no_anchors_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "kept.json"
    path.write_text(content)

    with pytest.raises(CommandError, match="is not a list of anchors"):
        call_command("check_ledger", f"--anchors={path}")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file or directory"):
        call_command("check_ledger", f"--anchors={tmp_path / 'missing'}")


def test_an_anchor_is_not_made_before_its_day_is_over(history: None) -> None:
    with (
        pytest.raises(IntegrityError, match="anchor_is_made_after_its_day"),
        transaction.atomic(),
    ):
        Anchor.objects.create(day=TODAY, count=0, sum=0, digest=b"", created_at=at(0))


def test_the_worker_makes_the_anchor_and_logs_it(history: None) -> None:
    with capture_logs() as logs:
        outcomes = worker.run(worker.jobs()["make_anchors"], now=at(1, 2))

    (anchor,) = Anchor.objects.all()
    assert dict(outcomes) == {"made": 1}
    assert {**logs[0], "log_level": None} == {
        "event": "anchor",
        "log_level": None,
        "day": TODAY.isoformat(),
        "count": 2,
        "sum": "95.0000",
        "digest": anchor.hex,
    }


def test_two_processes_make_an_anchor_once(history: None) -> None:
    make(1)

    with patch.object(anchors, "newest_day", return_value=TODAY - ONE_DAY):
        assert make(1) == []

    assert Anchor.objects.count() == 1


def test_the_command_makes_yesterdays_anchor(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("make_anchors")

    assert capsys.readouterr().out == "make_anchors: 1 made.\n"
    assert Anchor.objects.get().day == TODAY - ONE_DAY


def test_the_newest_anchor_is_a_metric(history: None) -> None:
    make(2)
    registry = CollectorRegistry()
    registry.register(StateCollector())

    written = generate_latest(registry).decode()

    newest = Anchor.objects.latest("day")
    labels = f'{{day="{newest.day}",digest="{newest.hex}"}}'
    assert f"mana_credits_anchor_users{labels} 2.0" in written
    assert f"mana_credits_anchor_credits{labels} 85.0" in written


def test_anybody_reads_the_anchors_newest_first(anonymous: Caller, history: None) -> None:
    made = make_all(3)

    answer = anonymous.get(PATH)

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    assert [row["day"] for row in answer.json()] == [
        (TODAY + days * ONE_DAY).isoformat() for days in (2, 1, 0)
    ]
    assert answer.json()[2] == {
        "day": TODAY.isoformat(),
        "count": 2,
        "sum": "95.0000",
        "digest": made[0].hex,
        "createdAt": f"{at(1, 2):%Y-%m-%dT%H:%M:%S}.000Z",
    }


def test_the_anchors_come_in_pages_and_may_be_kept(anonymous: Caller, history: None) -> None:
    make_all(3)

    first = anonymous.get(f"{PATH}?limit=2")
    rest = anonymous.get("/" + first.headers["Link"].split(">")[0].split("/", 3)[3])
    again = anonymous.get(f"{PATH}?limit=2", **{"If-None-Match": first.headers["ETag"]})

    assert (len(first.json()), len(rest.json()), again.status_code) == (2, 1, 304)
    assert "Link" not in rest.headers
