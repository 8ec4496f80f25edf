"""`manage.py check_ledger`: prove that the books close."""

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand

from credits import worker
from credits.ledger import books, ledger_checks
from credits.ledger.books import BooksDoNotClose, Discrepancy
from credits.ledger.ledger_checks import Scope
from credits.management import arguments
from credits.management.progress import add_batch_size, progress
from credits.worker import Job


class Command(BaseCommand):
    """Checks the rules of the money for all users or for one."""

    help = (
        "Checks that the books close: each balance equals the sum of its transactions, the chains "
        "have no gaps, and held credits and usage statistics add up. Prints each discrepancy and "
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
        add_batch_size(parser, default=ledger_checks.USERS_PER_BATCH, of="users")

    def handle(self, *, user: str | None, **options: Any) -> None:
        """Print each discrepancy; exit with 1 if there is one."""
        try:
            self._check_one(user) if user else self._check_all(**options)
        except BooksDoNotClose as error:
            self.stderr.write(str(error))
            sys.exit(1)
        self.stdout.write("The books close.")

    def _check_one(self, user: str) -> None:
        if wrong := self._report([*books.check([user]), *books.orphans([user])]):
            raise BooksDoNotClose(f"{wrong} discrepancies")

    def _check_all(self, *, changes: bool, resume: bool, batch_size: int, **_: Any) -> None:
        now = worker.now()
        interrupted = ledger_checks.interrupted() if resume else None
        if interrupted and interrupted.full:
            started_at = interrupted.full.started_at
            self.stdout.write(f"Resuming the full check of {started_at:%Y-%m-%d %H:%M:%S} UTC.")
        begin = Scope if changes else partial(ledger_checks.full_check, now=now)
        scope = interrupted or begin()
        worker.run(Job("check_ledger", partial(self._batches, scope, batch_size)), now=now)

    def _batches(self, scope: Scope, size: int, now: datetime) -> Iterator[str]:
        work = ledger_checks.work(scope)
        if work.verified:
            self.stdout.write(f"{work.verified} users are verified already.")
        wrong = users = 0
        with progress("Checking", total=work.entries, unit="transactions") as advance:
            for batch in ledger_checks.check(scope, batch_size=size):
                wrong += self._report(batch.discrepancies)
                users += batch.users
                advance(batch.entries)
                yield "batches"
        self.stdout.write(f"{users} users checked.")
        if wrong:
            raise BooksDoNotClose(f"{wrong} discrepancies")

    def _report(self, discrepancies: list[Discrepancy]) -> int:
        for found in discrepancies:
            self.stdout.write(f"User {found.user_id}: {found.sentence} ({found.rule}).")
        return len(discrepancies)
