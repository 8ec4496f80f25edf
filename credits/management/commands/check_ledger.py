"""`manage.py check_ledger`: prove that the books close."""

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand

from credits import worker
from credits.ledger import books
from credits.ledger.books import BooksDoNotClose, Discrepancy
from credits.management.progress import add_batch_size, progress
from credits.models import Balance
from credits.worker import Job


class Command(BaseCommand):
    """Checks the rules of the money over all users, or one."""

    help = (
        "Checks that the books close: balances are what their transactions say, chains have no "
        "gaps, holds and usage statistics add up. Prints each discrepancy in a sentence and "
        "exits with 1 if there is any. Changes nothing; safe at any time, also under load."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take one user, and the size of a batch."""
        parser.add_argument("--user", help="the id of the one user to check")
        add_batch_size(parser, default=1000, of="users")

    def handle(self, *, user: str | None, batch_size: int, **options: Any) -> None:
        """Print what is wrong; exit with 1 if anything is."""
        try:
            self._check_one(user) if user else self._check_all(batch_size)
        except BooksDoNotClose as error:
            self.stderr.write(str(error))
            sys.exit(1)
        self.stdout.write("The books close.")

    def _check_one(self, user: str) -> None:
        if wrong := self._report([*books.check([user]), *books.orphans([user])]):
            raise BooksDoNotClose(f"{wrong} discrepancies")

    def _check_all(self, batch_size: int) -> None:
        job = Job("check_ledger", partial(self._batches, batch_size))
        worker.run(job, now=worker.now())

    def _batches(self, size: int, now: datetime) -> Iterator[str]:
        total = Balance.objects.count()
        wrong = 0
        with progress("Checking", total=total, unit="users") as advance:
            for users, discrepancies in books.check_all(batch_size=size):
                wrong += self._report(discrepancies)
                advance(users)
                yield "batches"
        self.stdout.write(f"{total} users checked.")
        if wrong:
            raise BooksDoNotClose(f"{wrong} discrepancies")

    def _report(self, discrepancies: list[Discrepancy]) -> int:
        for found in discrepancies:
            self.stdout.write(f"User {found.user_id}: {found.sentence} ({found.rule}).")
        return len(discrepancies)
