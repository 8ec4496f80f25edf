"""`manage.py check_ledger`: prove that the books close."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from credits import worker
from credits.amounts import counted
from credits.ledger import anchors, books, ledger_checks
from credits.ledger.anchors import AnchorClaim
from credits.ledger.books import BooksDoNotClose, Discrepancy
from credits.ledger.ledger_checks import CheckScope
from credits.management import arguments
from credits.management.progress import add_batch_size, progress
from credits.management.text_files import read_json
from credits.models import Balance
from credits.worker import Job

NO_ANCHORS = "{} is not a list of anchors as GET /api/v1/anchors returns them"


class Command(BaseCommand):
    """Checks the rules of the money for all users or for one."""

    help = (
        "Checks that the books close: each balance equals the sum of its transactions, the chains "
        "have no gaps and fit their digests and anchors, and held credits and usage statistics "
        "add up. Prints each discrepancy and "
        "exits with 1 if there is one. Safe at any time, also under load: it writes only its own "
        "records of what it has verified. Without options it reads all transactions."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the scope of the check and the size of a batch."""
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--user", type=arguments.user_id, help="the id of the one user to check")
        what.add_argument(
            "--changes",
            action="store_true",
            help="read only the changes since each user's last clean check, as every night",
        )
        what.add_argument(
            "--resume",
            action="store_true",
            help="continue an interrupted full check, or start one if none was interrupted",
        )
        what.add_argument(
            "--anchors",
            dest="kept",
            type=Path,
            metavar="FILE",
            help="compare the ledger with anchors that were kept: JSON of GET /api/v1/anchors",
        )
        add_batch_size(parser, default=ledger_checks.USERS_PER_BATCH, of="users")

    def handle(self, *, user: str | None, kept: Path | None, **options: Any) -> None:
        """Print each discrepancy; exit with 1 if there is one."""
        try:
            if kept:
                self._check_anchors(kept)
            else:
                self._check_one(user) if user else self._check_all(**options)
        except BooksDoNotClose as error:
            self.stderr.write(str(error))
            sys.exit(1)
        self.stdout.write("The books close.")

    def _check_anchors(self, kept: Path) -> None:
        claims = _read(kept)
        if wrong := self._report(anchors.check(claims)):
            raise BooksDoNotClose(counted(wrong, "discrepancy", "discrepancies"))
        self.stdout.write(f"The ledger fits {counted(len(claims), 'anchor')}.")

    def _check_one(self, user: str) -> None:
        if wrong := self._report([*books.check([user]), *books.orphans([user])]):
            raise BooksDoNotClose(counted(wrong, "discrepancy", "discrepancies"))
        if not Balance.objects.filter(pk=user).exists():
            raise CommandError(f"The user {user} is unknown.")

    def _check_all(self, *, changes: bool, resume: bool, batch_size: int, **_: Any) -> None:
        now = worker.now()
        interrupted = ledger_checks.interrupted() if resume else None
        if interrupted and interrupted.full:
            started_at = interrupted.full.started_at
            self.stdout.write(f"Resuming the full check of {started_at:%Y-%m-%d %H:%M:%S} UTC.")
        begin = CheckScope if changes else partial(ledger_checks.full_check, now=now)
        scope = interrupted or begin()
        # As a run of the job, so that the dashboard and the metrics show its outcome.
        worker.run(Job("check_ledger", partial(self._batches, scope, batch_size)), now=now)

    def _batches(self, scope: CheckScope, size: int, now: datetime) -> Iterator[str]:
        work = ledger_checks.work(scope)
        if work.verified:
            self.stdout.write(f"Verified already: {counted(work.verified, 'user')}.")
        wrong = users = 0
        with progress("Checking", total=work.entries, unit="transactions") as advance:
            for batch in ledger_checks.check(scope, batch_size=size):
                wrong += self._report(batch.discrepancies)
                users += batch.users
                advance(batch.entries)
                yield "batches"
        self.stdout.write(f"{counted(users, 'user')} checked.")
        if wrong:
            raise BooksDoNotClose(counted(wrong, "discrepancy", "discrepancies"))

    def _report(self, discrepancies: list[Discrepancy]) -> int:
        for found in discrepancies:
            where = f"User {found.user_id}" if found.user_id else "Ledger"
            self.stdout.write(f"{where}: {found.sentence} ({found.rule}).")
        return len(discrepancies)


def _read(kept: Path) -> list[AnchorClaim]:
    """Return the anchors in a file. Raises CommandError."""
    text = read_json(kept)
    try:
        # Decimal, because a sum of many balances has more digits than a float keeps.
        rows = json.loads(text, parse_float=Decimal)
        claims = [
            AnchorClaim(
                date.fromisoformat(row["day"]),
                int(row["count"]),
                Decimal(row["sum"]),
                row["digest"],
            )
            for row in rows
        ]
    except (ValueError, ArithmeticError, LookupError, TypeError, RecursionError) as error:
        raise CommandError(NO_ANCHORS.format(kept)) from error
    if not claims:
        raise CommandError(NO_ANCHORS.format(kept))
    return claims
