"""Helpers that run the import and read its results."""

import csv
from decimal import Decimal
from pathlib import Path

from django.core.management import call_command

from credits.models import Balance, Transaction
from tests.legacy import Planted
from tests.owner import as_owner


def run(url: str, *options: str, report: Path) -> int:
    """Run the command. Return its exit code."""
    try:
        with as_owner():
            call_command("import_legacy", f"--source={url}", f"--report={report}", *options)
    except SystemExit as end:
        return int(str(end.code))
    return 0


def findings(report: Path) -> list[dict[str, str]]:
    with report.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def named(report: Path) -> set[Planted]:
    """Return the report's faults in the format of `Earlier.planted`."""
    return {
        (row["kind"], row["user_id"] or None, row["row_id"] or None) for row in findings(report)
    }


def available() -> dict[str, Decimal]:
    return {balance.pk: balance.available for balance in Balance.objects.all()}


def chain(user: str) -> list[tuple[int, str, int, int, int]]:
    """Return the user's transactions: number, type, amount, balance before and after."""
    return [
        (row.number, row.type, int(row.amount), int(row.balance_before), int(row.balance_after))
        for row in Transaction.objects.filter(user_id=user).order_by("number")
    ]
