"""`manage.py backfill_operations`: attribute old usages to operations."""

from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from credits import spreadsheets
from credits.amounts import counted
from credits.catalogue.catalogue import LARGEST_QUANTITY, OperationUnknown
from credits.ledger import backfills
from credits.ledger.backfills import AttributionRule
from credits.management.arguments import whole_number
from credits.management.backfill_command import BackfillCommand
from credits.spreadsheets import SpreadsheetRow, SpreadsheetUnreadable

COLUMNS = ("app_id", "description", "operation", "quantity")


class Command(BackfillCommand):
    """Attributes usages without an operation to operations of the catalogue."""

    help = (
        "Attributes usages without an operation, such as imported ones, to operations of the "
        "catalogue. --mapping is a CSV file with the columns app_id, description (empty: any), "
        "operation and quantity (empty: 1). The first line that matches a usage applies. The "
        "amount of a usage does not change: the unit cost is derived from it. An attribution is "
        "final, so nothing is changed without --apply. Safe to stop and to run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add `--mapping`."""
        super().add_arguments(parser)
        parser.add_argument("--mapping", type=Path, required=True, help="the CSV file")

    def handle(self, **options: Any) -> None:
        """Read the mapping, then attribute the usages in batches of users."""
        self.rules = _rules(options["mapping"])
        self.usages: Counter[str] = Counter()
        self.credits: dict[str, Decimal] = {}
        super().handle(**options)

    def repair(self, users: list[str], *, apply: bool, **options: Any) -> list[str]:
        """Report or attribute these users' usages."""
        found = backfills.operations(users, self.rules, apply=apply)
        for one in found:
            self.usages[one.operation] += one.usages
            self.credits[one.operation] = self.credits.get(one.operation, Decimal(0)) + one.credits
        return users if found else []

    def counts(self, found: int) -> dict[str, object]:
        """Return the number and the credits of the attributed usages by operation."""
        return {
            operation: f"{counted(usages, 'usage')}, {counted(self.credits[operation], 'credit')}"
            for operation, usages in sorted(self.usages.items())
        }


def _rules(path: Path) -> list[AttributionRule]:
    try:
        rules = [_rule(row) for row in spreadsheets.read(path, COLUMNS)]
    except SpreadsheetUnreadable as error:
        raise CommandError(str(error)) from error
    if not rules:
        raise CommandError("The mapping has no rows")
    try:
        backfills.check_rules(rules)
    except OperationUnknown as refusal:
        raise CommandError(f"{refusal.text}: {refusal.details}") from refusal
    return rules


def _rule(row: SpreadsheetRow) -> AttributionRule:
    cells, text = row.cells, row.cells["quantity"] or "1"
    try:
        quantity = whole_number(text)
    except ArgumentTypeError:
        quantity = 0
    if not 1 <= quantity <= LARGEST_QUANTITY:
        raise CommandError(
            f"Line {row.line}: {text!r} is not a quantity from 1 to {LARGEST_QUANTITY:,}"
        )
    return AttributionRule(
        cells["app_id"], cells["description"] or None, cells["operation"], quantity
    )
