"""`manage.py sum_days`: sum the ledger by day for the back office's figures."""

from argparse import ArgumentParser
from datetime import UTC, date, datetime
from typing import Any

from django.core.management.base import CommandError

from credits.amounts import counted
from credits.management import arguments
from credits.management.job_command import JobCommand
from credits.management.progress import progress
from credits.reporting import daily_totals


class Command(JobCommand):
    """Sums the days since the last sum, a range of days, or all days."""

    help = (
        "Sums credits and money by UTC day for the figures of the back office: the days since the "
        "last sum, a range, or all days (needed after an import). Safe at any time, also under "
        "load, and to run again."
    )
    job = "sum_days"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add `--all`, `--from` and `--to`."""
        parser.add_argument("--all", action="store_true", help="every day since the first one")
        parser.add_argument("--from", dest="first", type=arguments.day, help="2026-11-01")
        parser.add_argument("--to", dest="last", type=arguments.day, help="2026-11-30")

    def handle(self, **options: Any) -> None:
        """Sum the days and print how many were summed."""
        today = datetime.now(UTC).date()
        first, last = options["first"], options["last"] or today
        if options["all"] and (first or options["last"]):
            raise CommandError("--all cannot be combined with --from or --to")
        if options["all"]:
            self._sum(daily_totals.first_day() or today, today)
        elif first:
            self._sum(first, last)
        elif options["last"]:
            raise CommandError("--to requires --from")
        else:
            super().handle()

    def _sum(self, first: date, last: date) -> None:
        days = (last - first).days + 1
        if days < 1:
            raise CommandError("--from must not be after --to")
        with progress("Summing", total=days, unit="days") as advance:
            for _ in daily_totals.sum_days(first, last):
                advance(1)
        self.stdout.write(f"{counted(days, 'day')} summed, {first} to {last}.")
