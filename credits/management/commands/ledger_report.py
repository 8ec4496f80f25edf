"""`manage.py ledger_report`: all movements of a month, checked against the balances."""

from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from credits import spreadsheets
from credits.errors import DomainError
from credits.management import arguments, text_files
from credits.reporting import ledger_report
from credits.reporting.ledger_report import Report, Standing

# The heading of each section.
PARTS = {
    "opening": "Opening balance of all users",
    "movement": "Movements",
    "closing": "Closing balance of all users",
    "spent": "Usage by app and operation",
    "refunded": "Usage by app and operation",
}

Row = tuple[str, str, str, int | str, Decimal]


class Command(BaseCommand):
    """Prints a month's report and, with --csv, writes it to a file."""

    help = (
        "Prints the credits of all users at the start of a month (UTC), what was sold, granted, "
        "spent, refunded, clawed back and gifted in it, and the credits at its end or now, with "
        "those held and in gift codes, and the usage by app and operation. The opening is summed "
        "from the ledger, the closing computed backwards from the balances. Exits with 1 if "
        "opening and movements do not equal the closing. Reads one snapshot and changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add `--month` and `--csv`."""
        parser.add_argument("--month", type=arguments.month, required=True, help="such as 2026-10")
        parser.add_argument(
            "--csv", type=text_files.writable, help="write the report to this file too"
        )

    def handle(self, *, month: date, csv: Path | None, **options: Any) -> None:
        """Print the report; exit with 1 if it does not add up."""
        try:
            made = ledger_report.of_month(month, now=datetime.now(UTC))
        except DomainError as refusal:
            raise CommandError(refusal.text) from refusal
        for line in _table(made):
            self.stdout.write(line)
        if csv:
            _write(made, csv)
            self.stdout.write(f"Written to {csv}.")
        # After the report and its file: the numbers are needed to find the difference.
        if made.difference:
            raise CommandError(
                f"Opening and movements differ from the closing by {made.difference:,f}."
            )
        self.stdout.write("Opening and movements equal the closing.")


def _rows(made: Report) -> Iterator[Row]:
    """Yield the report's rows in their order. Columns: section, name, operation, count, credits."""
    yield from _moment("opening", made.opening)
    for name, moved in made.movements.items():
        yield "movement", name, "", *moved
    yield from _moment("closing", made.closing)
    for use in made.usage:
        operation = use.operation or ""
        yield "spent", use.app_id, operation, *use.spent
        if use.refunded.entries:
            yield "refunded", use.app_id, operation, *use.refunded


def _moment(section: str, moment: Standing) -> Iterator[Row]:
    for name, amount in zip(("posted", "held", "in gifts"), moment, strict=True):
        yield section, name, "", "", amount


def _table(made: Report) -> Iterator[str]:
    yield f"Credits of all users, {made.month:%Y-%m} (UTC)"
    for part, rows in groupby(_rows(made), lambda row: PARTS[row[0]]):
        yield ""
        yield part
        for section, name, operation, count, amount in rows:
            number = f"{count:,}" if isinstance(count, int) else ""
            yield f"  {section:<10}{name:<22}{operation:<26}{number:>12}{amount:>22,.4f}"
    yield ""


def _write(made: Report, path: Path) -> None:
    header = ("month", "section", "name", "operation", "count", "credits")
    month = f"{made.month:%Y-%m}"
    rows = ((month, *row) for row in _rows(made))
    text_files.write(path, spreadsheets.lines(header, rows))
