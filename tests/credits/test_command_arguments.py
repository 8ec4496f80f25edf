"""Arguments of commands follow the API's rules."""

from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command

from credits.management import arguments


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (arguments.user_id, "Jürgen Müller", "Jürgen Müller"),
        (arguments.amount, "0.1", Decimal("0.1")),
        (arguments.amount, "10.5000", Decimal("10.5")),
        (arguments.amount, "0.125", Decimal("0.125")),
        (arguments.whole_number, "500", 500),
        (arguments.day, "2026-02-28", date(2026, 2, 28)),
        (arguments.month, "2026-02", date(2026, 2, 1)),
    ],
)
def test_values_are_read(read: Callable[[str], object], text: str, value: object) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "texts"),
    [
        (arguments.user_id, ["", " ", "bob ", "\u200bbob", "b\nob", "b\udcffob", "x" * 256]),
        (
            arguments.amount,
            ["1.000", "1.500", "12.340", "1_0", "1e3", "-1", "\u0663", "0", "1.00001"],
        ),
        (arguments.whole_number, ["0", "-1", "1_0", "\u0661", " 5", "5.0", "9" * 10, "9" * 5000]),
        (
            arguments.day,
            ["20261130", "2026-W01-1", "2026-13-01", "2026-02-30", "\u0662026-11-30", ""],
        ),
        (arguments.month, ["2026-1", "2026-13", "2026-00", "0000-01", "\uff12026-10", "2026"]),
    ],
)
def test_other_ways_to_write_a_value_are_refused(
    read: Callable[[str], object], texts: list[str]
) -> None:
    for text in texts:
        with pytest.raises(ArgumentTypeError):
            read(text)


@pytest.mark.parametrize(
    ("command", "argument", "others"),
    [
        ("check_ledger", "--user=bob ", []),
        ("create_gift_codes", "--account=bob\xa0", ["--campaign=c", "--count=1", "--csv=x.csv"]),
        ("create_gift_codes", "--count=1_0", ["--campaign=c", "--credits=1", "--csv=x.csv"]),
        ("create_gift_codes", "--credits=1.000", ["--campaign=c", "--count=1", "--csv=x.csv"]),
        ("sum_days", "--from=20261101", []),
        ("backfill_usage_stats", "--to=20261101", []),
        ("expire_reservations", "--limit=-1", []),
        ("reconcile_stripe", "--since=\u0663d", []),
    ],
)
def test_commands_refuse_such_arguments(command: str, argument: str, others: list[str]) -> None:
    with pytest.raises(CommandError, match=f"argument {argument.partition('=')[0]}"):
        call_command(command, *others, argument)
