"""The check of a large ledger: stable plans, resuming, and checking changes only."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection, transaction

from credits import jobs
from credits.ledger import books, ledger_checks
from credits.ledger.books import BooksDoNotClose, Discrepancy
from credits.ledger.ledger_checks import CheckScope
from credits.models import CheckedBalance, LedgerCheck
from mana_credits.privacy import erasure
from tests.credits.test_check_ledger import CHAIN, DIGEST, POSTED, USAGE, check, damage
from tests.factories import give, hold, spend
from tests.owner import as_owner

pytestmark = pytest.mark.django_db

GROW = Path(__file__).resolve().parents[2] / "bench" / "sql" / "grow.sql"
NIGHT = datetime(2027, 3, 1, 3, tzinfo=UTC)
ADD_UP = "usage statistics add up to all usages"


def grow(users: int, *, each: int) -> list[str]:
    """Create users with a year of usages, `each` per user."""
    names = [f"user-{index:03}" for index in range(users)]
    for name in names:
        give(name, 1_000_000)
    with connection.cursor() as cursor:
        with as_owner():
            cursor.execute(GROW.read_text().replace(":users", "true").replace(":each", str(each)))
        with as_owner():
            cursor.execute("ANALYZE")
    return names


def full() -> list[Discrepancy]:
    """Run a full check. Return its discrepancies."""
    return wrong(ledger_checks.full_check(now=NIGHT))


def changes() -> list[Discrepancy]:
    """Check the changes only. Return the discrepancies."""
    return wrong(CheckScope())


def wrong(scope: CheckScope) -> list[Discrepancy]:
    batches = ledger_checks.check(scope)
    return [one for batch in batches for one in batch.discrepancies]


def marked() -> dict[str, int]:
    return dict(CheckedBalance.objects.order_by("pk").values_list("pk", "last_number"))


@pytest.fixture
def planned_as_in_production() -> None:
    """Let PostgreSQL choose between custom and generic plans, which the test server does not."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL plan_cache_mode = auto")


@pytest.mark.breaks_the_books
@pytest.mark.usefixtures("planned_as_in_production")
def test_more_than_ten_batches_are_checked_by_one_prepared_statement() -> None:
    users = grow(30, each=40)
    damage(f"UPDATE credits.balances SET last_number = 40 WHERE user_id = '{users[-1]}'")
    scope = ledger_checks.full_check(now=NIGHT)

    batches = list(ledger_checks.check(scope, batch_size=2))

    assert [(batch.users, batch.entries) for batch in batches] == [
        *[(2, 82)] * 14,
        (2, 81),
        (0, 0),
    ]
    found = [one for batch in batches for one in batch.discrepancies]
    assert [one.user_id for one in found] == [users[-1]]
    assert executions_of("credits.checked_balances AS c") >= 14


def executions_of(text: str) -> int:
    """Return the executions of prepared statements with `text` on this connection."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(generic_plans + custom_plans), 0) FROM pg_prepared_statements "
            "WHERE position(%s IN statement) > 0",
            [text],
        )
        (count,) = cursor.fetchone()
    return int(count)


@pytest.mark.slow
@pytest.mark.usefixtures("planned_as_in_production")
@pytest.mark.parametrize("marks", [False, True])
def test_the_tenth_execution_has_the_plan_of_the_first(marks: bool) -> None:
    users = grow(100, each=50)
    query = books.statement(marks=marks).replace("%%", "%")
    for marker, name in (("$1", "users"), ("$2", "since_last"), ("$3", "full_check")):
        query = query.replace(f"%({name})s", marker)
    with connection.cursor() as cursor:
        cursor.execute(f"PREPARE the_check (text[], boolean, bigint) AS {query}")

    plans = [shape(users) for _ in range(10)]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    generic = shape(users)
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE the_check")

    assert len(plans[0]) > 50
    assert plans[9] == plans[0]
    assert generic == plans[0]


def shape(users: list[str]) -> list[str]:
    """Return the plan's nodes of the prepared check, without costs.

    "Result" nodes, which only test a parameter, are left out: a custom plan has none.
    """
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN EXECUTE the_check (%s, true, null)", [users])
        lines = [line for (line,) in cursor.fetchall() if "(cost=" in line]
    nodes = [re.sub(r" +\(cost=.*", "", line).strip(" ->") for line in lines]
    return [node for node in nodes if node != "Result"]


def test_a_user_with_many_entries_ends_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_checks, "ENTRIES_PER_BATCH", 3)
    for name, spends in (("alice", 1), ("bob", 4), ("carol", 0), ("dora", 0)):
        give(name, 10)
        for _ in range(spends):
            spend(name, 1)

    batches = list(ledger_checks.check(ledger_checks.full_check(now=NIGHT)))

    assert [(batch.users, batch.entries) for batch in batches] == [(2, 7), (2, 2), (0, 0)]


def test_only_what_came_after_the_last_check_is_read() -> None:
    for name in ("alice", "bob"):
        give(name, 10)
    assert full() == []
    spend("alice", 1)
    spend("alice", 2)
    give("carol", 5)
    work = ledger_checks.work(CheckScope())

    batches = list(ledger_checks.check(CheckScope()))

    assert (work.users, work.entries, work.verified) == (2, 3, 1)
    assert [(batch.users, batch.entries) for batch in batches] == [(2, 3), (0, 0)]
    assert marked() == {"alice": 3, "bob": 1, "carol": 1}
    assert ledger_checks.work(CheckScope()).users == 0


def test_a_hold_is_a_change() -> None:
    give("alice", 10)
    assert full() == []
    hold("alice", 3)

    assert ledger_checks.work(CheckScope()).users == 1
    assert changes() == []


@pytest.mark.breaks_the_books
@pytest.mark.parametrize(
    ("statement", "rules"),
    [
        (
            "UPDATE credits.transactions SET balance_before = 8, balance_after = 6 WHERE number=3",
            [CHAIN],
        ),
        ("UPDATE credits.balances SET posted = 8, total_earned = 11", [POSTED]),
        ("UPDATE credits.balances SET held = 1", ["held is the sum of the open reservations"]),
        ("UPDATE credits.balances SET last_number = 4", ["the balance counts its transactions"]),
        ("UPDATE credits.usage_stats SET transactions = 7", [ADD_UP]),
        ("DELETE FROM credits.usage_stats", [ADD_UP]),
    ],
)
def test_the_check_of_changes_finds_what_is_wrong_with_them(
    statement: str, rules: list[str]
) -> None:
    give("alice", 10)
    spend("alice", 1)
    assert full() == []
    spend("alice", 2)
    damage(statement)

    found = [changes(), changes()]

    again = [USAGE] if rules == [ADD_UP] else rules  # then every entry is read, by day
    assert [[one.rule for one in some][:1] for some in found] == [rules, again]
    assert marked() == {}


@pytest.mark.breaks_the_books
def test_an_old_entry_that_was_altered_is_found_by_the_full_check() -> None:
    give("alice", 10)
    spend("alice", 1)
    assert full() == []
    damage("UPDATE credits.transactions SET balance_before = 8, balance_after = 7 WHERE number = 2")

    of_changes, of_all, afterwards = changes(), full(), changes()

    assert of_changes == []
    assert [one.rule for one in of_all] == [CHAIN, DIGEST]
    assert afterwards == of_all


@pytest.mark.breaks_the_books
def test_a_row_that_refers_to_somebody_elses_is_found_every_night() -> None:
    give("bob", 100)
    give("alice", 10)
    usage = spend("alice", 5).transaction
    assert full() == []
    give("alice", 1)
    damage(
        "SET LOCAL session_replication_role = replica",  # without foreign keys
        f"UPDATE credits.transactions SET related_id = (SELECT id FROM credits.transactions "
        f"WHERE user_id = 'bob') WHERE user_id = 'alice' AND number = {usage.number + 1}",
    )

    found = [changes(), changes()]

    assert [{one.user_id for one in some} for some in found] == [{"alice"}, {"alice"}]


def test_an_interrupted_full_check_is_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    for index in range(6):
        give(f"user-{index}", 1)
    batches = ledger_checks.check(ledger_checks.full_check(now=NIGHT), batch_size=2)
    for _ in range(2):
        next(batches)
    batches.close()  # type: ignore[attr-defined]

    code, lines, error = check(capsys, "--resume")

    assert (code, error) == (0, "")
    assert lines == [
        "Resuming the full check of 2027-03-01 03:00:00 UTC.",
        "Verified already: 4 users.",
        "2 users checked.",
        "The books close.",
    ]
    assert LedgerCheck.objects.get().finished_at is not None
    assert check(capsys, "--resume")[1] == ["6 users checked.", "The books close."]


def test_changes_can_be_checked_by_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    give("alice", 1)
    give("bob", 1)

    first = check(capsys, "--changes")
    give("bob", 1)
    second = check(capsys, "--changes")

    assert first == (0, ["2 users checked.", "The books close."], "")
    assert second == (
        0,
        ["Verified already: 1 user.", "1 user checked.", "The books close."],
        "",
    )
    assert not LedgerCheck.objects.exists()


def test_everything_is_checked_once_a_week_and_changes_on_the_other_nights() -> None:
    give("alice", 1)
    nights = [NIGHT + timedelta(days=day) for day in range(9)]

    for night in nights:
        list(jobs.check_ledger(night))

    starts = LedgerCheck.objects.order_by("pk").values_list("started_at", flat=True)
    assert list(starts) == [nights[0], nights[7]]
    assert CheckedBalance.objects.get().full_check == LedgerCheck.objects.last().pk  # type: ignore[union-attr]


def test_the_next_night_resumes_a_full_check_that_was_stopped() -> None:
    give("alice", 1)
    run = jobs.check_ledger(NIGHT)
    next(run)
    run.close()  # type: ignore[attr-defined]

    list(jobs.check_ledger(NIGHT + timedelta(days=1)))

    (only,) = LedgerCheck.objects.all()
    assert (only.started_at, only.finished_at is None) == (NIGHT, False)


@pytest.mark.breaks_the_books
def test_the_nightly_check_fails_until_the_books_are_repaired() -> None:
    give("alice", 1)
    damage("UPDATE credits.balances SET last_number = 2")

    for night in (NIGHT, NIGHT + timedelta(days=1)):
        with pytest.raises(BooksDoNotClose, match="1 discrepancy"):
            list(jobs.check_ledger(night))
    damage("UPDATE credits.balances SET last_number = 1")
    list(jobs.check_ledger(NIGHT + timedelta(days=2)))

    assert LedgerCheck.objects.get().discrepancies == 1
    assert marked() == {"alice": 1}


def test_a_read_only_database_is_checked_without_marks() -> None:
    give("alice", 1)
    scope = ledger_checks.full_check(now=NIGHT)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
        found = wrong(scope)
        transaction.set_rollback(True)

    assert found == []
    assert marked() == {}
    assert LedgerCheck.objects.get().finished_at is None


def test_an_erased_person_is_checked_from_the_first_entry() -> None:
    give("alice", 1)
    assert full() == []

    erasure.erase("alice")

    assert marked() == {}
    assert changes() == []
    assert list(marked().values()) == [1]


def test_a_mark_of_somebody_who_was_erased_during_the_check_does_not_stay() -> None:
    give("alice", 1)
    run = ledger_checks.check(ledger_checks.full_check(now=NIGHT))
    next(run)
    late = CheckedBalance.objects.get()
    erasure.erase("alice")
    late.save(force_insert=True)

    list(run)

    assert "alice" not in marked()
