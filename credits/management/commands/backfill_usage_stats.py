"""`manage.py backfill_usage_stats`: recount the usage statistics by day."""

from argparse import ArgumentParser
from typing import Any, ClassVar

from credits.ledger import backfills
from credits.management import arguments
from credits.management.backfill_command import BackfillCommand


class Command(BackfillCommand):
    """Recounts the usage statistics by app and UTC day."""

    help = (
        "Recounts the usage statistics from the transactions, for all days or for those from "
        "--from to --to (UTC, inclusive). Reports each wrong row. Because no credits are moved, "
        "wrong rows are corrected unless --dry-run is given. Safe to stop and to run again."
    )
    applies: ClassVar[bool] = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add `--from` and `--to`."""
        super().add_arguments(parser)
        parser.add_argument(
            "--from",
            dest="first",
            type=arguments.day,
            help="the first day, such as 2026-11-01",
        )
        parser.add_argument(
            "--to",
            dest="last",
            type=arguments.day,
            help="the last day, such as 2026-11-30",
        )

    def repair(self, users: list[str], *, apply: bool, **options: Any) -> list[str]:
        """Report or recount these users' usage statistics."""
        first, last = options["first"], options["last"]
        return self.say(backfills.usage(users, first=first, last=last, apply=apply))
