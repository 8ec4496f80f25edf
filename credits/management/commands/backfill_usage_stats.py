"""`manage.py backfill_usage_stats`: recount usage by day."""

from argparse import ArgumentParser
from typing import Any, ClassVar

from credits.ledger import backfills
from credits.management import arguments
from credits.management.backfill_command import BackfillCommand


class Command(BackfillCommand):
    """Recounts usages by app and UTC day."""

    help = (
        "Counts the usage statistics anew from the transactions, for all days or those --from "
        "--to (UTC, both included). Reports each that was wrong. Moves no credits, and so changes "
        "what is wrong unless --dry-run is given. Safe to stop and to run again."
    )
    applies: ClassVar[bool] = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the days."""
        super().add_arguments(parser)
        parser.add_argument(
            "--from",
            dest="first",
            type=arguments.day,
            help="the first day, 2026-11-01",
        )
        parser.add_argument(
            "--to",
            dest="last",
            type=arguments.day,
            help="the last day, 2026-11-30",
        )

    def repair(self, users: list[str], *, apply: bool, **options: Any) -> list[str]:
        """Report or recount these users' days."""
        first, last = options["first"], options["last"]
        return self.say(backfills.usage(users, first=first, last=last, apply=apply))
