"""Repairs of data derived from the ledger. The ledger itself is unchanged."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from credits.ledger import ledger
from credits.ledger.posting import Memo, Origin, Priced
from credits.models import Balance, Transaction, UsageStat
from tests.factories import give, hold, spend

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("owner")]

MAPPING = "app_id,description,operation,quantity\n"


def run(capsys: pytest.CaptureFixture[str], *command: str) -> tuple[int, list[str]]:
    """Run the command. Return its exit code and its lines."""
    code: Any = 0
    capsys.readouterr()
    try:
        call_command(*command)
    except SystemExit as end:
        code = end.code
    return code, capsys.readouterr().out.splitlines()


def rows(model: Any) -> list[Any]:
    return list(model.objects.order_by("pk").values())


@pytest.fixture
def damaged() -> None:
    """Create damage targets: alice with 100 credits, two usages and a hold; bob with 1."""
    give("alice", 100)
    spend("alice", 3, at=datetime(2026, 11, 1, 23, 30, tzinfo=UTC))
    spend("alice", 4, at=datetime(2026, 11, 3, 12, tzinfo=UTC))
    hold("alice", 5)
    give("bob", 1)


def test_balances_are_rebuilt_from_the_ledger(
    capsys: pytest.CaptureFixture[str], damaged: None
) -> None:
    right = rows(Balance)
    Balance.objects.filter(pk="alice").update(
        posted=90, held=0, total_earned=95, total_spent=5, last_number=9
    )
    wrong = rows(Balance)
    line = (
        "User alice: posted 90.0000, held 0.0000, earned 95.0000, spent 5.0000, last 9 should be "
        "93.0000, 5.0000, 100.0000, 7.0000, 3."
    )

    dry = run(capsys, "backfill_balances")

    assert dry == (0, [line, "users    2", "wrong    1", "changed  nothing"])
    assert rows(Balance) == wrong

    applied = run(capsys, "backfill_balances", "--apply", "--batch-size=1")

    assert applied == (0, [line, "users    2", "wrong    1", "changed  yes"])
    kept = ("posted", "held", "total_earned", "total_spent", "last_number", "user_id")
    assert [{name: row[name] for name in kept} for row in rows(Balance)] == [
        {name: row[name] for name in kept} for row in right
    ]
    assert run(capsys, "backfill_balances", "--apply")[1] == [
        "users    2",
        "wrong    0",
        "changed  yes",
    ]


def test_on_a_cluster_one_user_is_repaired_after_the_other(
    capsys: pytest.CaptureFixture[str],
    damaged: None,
    settings: Any,
) -> None:
    settings.DATABASE_SHARDED = True
    Balance.objects.filter(pk="alice").update(held=1)
    with CaptureQueriesContext(connection) as statements:
        code, lines = run(capsys, "backfill_balances", "--apply")

    assert (code, lines[-2:]) == (0, ["wrong    1", "changed  yes"])
    locks = [query["sql"] for query in statements if "FOR UPDATE" in query["sql"]]
    assert [("'alice'" in sql, "'bob'" in sql) for sql in locks] == [(True, False), (False, True)]


def test_usage_is_recounted(capsys: pytest.CaptureFixture[str], damaged: None) -> None:
    right = rows(UsageStat)
    UsageStat.objects.filter(date=date(2026, 11, 1)).update(date=date(2026, 11, 2))
    UsageStat.objects.filter(date=date(2026, 11, 3)).update(transactions=5)
    wrong = rows(UsageStat)

    code, lines = run(capsys, "backfill_usage_stats", "--dry-run")

    assert code == 0
    assert lines[0] == (
        "User alice: 2026-11-01 in chat: 0 counted, usages: 0; 3.0000 in the ledger, usages: 1."
    )
    assert lines[-2:] == ["wrong    3", "changed  nothing"]
    assert rows(UsageStat) == wrong

    assert run(capsys, "backfill_usage_stats")[0] == 0

    assert rows(UsageStat) == right


@pytest.mark.breaks_the_books
def test_only_the_days_asked_for_are_counted(
    capsys: pytest.CaptureFixture[str], damaged: None
) -> None:
    UsageStat.objects.update(transactions=9)

    code, lines = run(
        capsys, "backfill_usage_stats", "--from=2026-11-02", "--to=2026-11-03", "--apply"
    )

    # The other day is still damaged.
    assert (code, lines[-2:]) == (1, ["wrong    1", "changed  yes"])
    counted = dict(UsageStat.objects.values_list("date", "transactions"))
    assert counted == {date(2026, 11, 1): 9, date(2026, 11, 3): 1}


@pytest.mark.parametrize("option", ["--from=yesterday", "--to=2026-02-30"])
def test_invalid_days_are_refused(option: str) -> None:
    with pytest.raises(CommandError):
        call_command("backfill_usage_stats", option)


@pytest.fixture
def usages() -> list[Transaction]:
    """Post four usages without an operation, of 10, 6, 5 and 2 credits."""
    give("alice", 100)
    return [
        spend("alice", 10, app_id="chat").transaction,
        spend("alice", 6, app_id="research").transaction,
        spend("alice", 5, app_id="research").transaction,
        spend("alice", 2, app_id="other").transaction,
    ]


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    """Write a mapping: chat is GPT-4; research is three images, if divisible."""
    path = tmp_path / "mapping.csv"
    path.write_text(
        MAPPING + "chat,nothing like it,pdf_export,\nchat,,ai_chat_gpt4,\nchat,,pdf_export,\n"
        "research,a spend,ai_image_generation,3\n"
    )
    return path


def attributions() -> list[tuple[int, str | None, Decimal | None, int | None]]:
    return list(
        Transaction.objects.filter(type="usage")
        .order_by("number")
        .values_list("number", "operation", "unit_cost", "quantity")
    )


def test_old_usages_are_attributed_once(
    capsys: pytest.CaptureFixture[str], usages: list[Transaction], mapping: Path
) -> None:
    before = attributions()

    dry = run(capsys, "backfill_operations", f"--mapping={mapping}")

    assert dry == (
        0,
        [
            "users                1",
            "ai_chat_gpt4         1 usage, 10 credits",
            "ai_image_generation  1 usage, 6 credits",
            "changed              nothing",
        ],
    )
    assert attributions() == before

    assert run(capsys, "backfill_operations", f"--mapping={mapping}", "--apply")[0] == 0
    mapping.write_text(MAPPING + "chat,,pdf_export,\n")
    again = run(capsys, "backfill_operations", f"--mapping={mapping}", "--apply")

    assert again == (0, ["users    1", "changed  yes"])
    assert attributions() == [
        (2, "ai_chat_gpt4", 10, 1),
        (3, "ai_image_generation", 2, 3),
        (4, None, None, None),
        (5, None, None, None),
    ]


def test_a_spend_with_an_operation_is_never_assigned_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    give("alice", 100)
    ledger.spend(
        "alice", Priced("ai_chat_gpt4"), memo=Memo("chat", "a spend"), origin=Origin("user")
    )
    path = tmp_path / "mapping.csv"
    path.write_text(MAPPING + "chat,,pdf_export,\n")

    run(capsys, "backfill_operations", f"--mapping={path}", "--apply")

    assert attributions() == [(2, "ai_chat_gpt4", 5, 1)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("app,operation\n", "first line must be: app_id,description,operation,quantity"),
        (MAPPING, "no rows"),
        (MAPPING + "chat,,no_such_thing,1\n", "no_such_thing"),
        (MAPPING + "chat,,pdf_export,0\n", "Line 2: '0' is not a quantity"),
        (MAPPING + "chat,,pdf_export,many\n", "Line 2: 'many' is not a quantity"),
    ],
)
def test_invalid_mappings_are_refused(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "mapping.csv"
    path.write_text(text)

    with pytest.raises(CommandError, match=says):
        call_command("backfill_operations", f"--mapping={path}", "--apply")


@pytest.mark.parametrize(
    "change",
    [
        "operation = 'pdf_export', unit_cost = 9, quantity = 1",  # differs from the usage's amount
        "operation = 'pdf_export', unit_cost = 10, quantity = 1, description = 'other'",
        "operation = 'pdf_export', unit_cost = 10, quantity = 1, created_at = now()",
        "amount = -11, balance_after = balance_before - 11",
        "description = 'other'",
        "metadata = '{}'",
    ],
)
def test_the_exception_lets_nothing_else_through(usages: list[Transaction], change: str) -> None:
    statement = f"UPDATE credits.transactions SET {change} WHERE amount = -10"

    with (
        connection.cursor() as cursor,
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
    ):
        cursor.execute(statement)
