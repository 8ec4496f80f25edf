"""The base class of commands that repair data derived from the ledger, in batches of users."""

import sys
from argparse import ArgumentParser
from typing import Any, ClassVar

from django.conf import settings
from django.core.management.base import BaseCommand

from credits.ledger import books
from credits.management.owner import require_owner
from credits.management.progress import (
    add_apply,
    add_batch_size,
    check_books,
    progress,
    summarise,
)
from credits.models import Balance


class BackfillCommand(BaseCommand):
    """Processes all users in batches. Subclasses report and repair a batch.

    On a Citus cluster a batch is one user, because a statement can lock rows of one shard only.
    """

    applies: ClassVar[bool] = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add `--apply` and `--batch-size`."""
        add_apply(parser, default=self.applies)
        add_batch_size(parser, default=1000, of="users")

    def handle(self, *, apply: bool, batch_size: int, **options: Any) -> None:
        """Repair all users, print a summary, check the changed users; exit 1 on a discrepancy."""
        if apply:
            require_owner(self)
        wrong, users, found = 0, 0, 0
        with progress("Comparing", total=Balance.objects.count(), unit="users") as advance:
            size = 1 if settings.DATABASE_SHARDED else batch_size
            for batch in books.all_users(batch_size=size):
                touched = self.repair(batch, apply=apply, **options)
                found += len(touched)
                if apply:
                    wrong += check_books(dict.fromkeys(touched), out=self.stderr)
                users += len(batch)
                advance(len(batch))
        summarise(
            self.stdout,
            {"users": users, **self.counts(found), "changed": "yes" if apply else "nothing"},
        )
        if wrong:
            sys.exit(1)

    def repair(self, users: list[str], *, apply: bool, **options: Any) -> list[str]:
        """Report each wrong row and, with `apply`, repair it; return one user id per row."""
        raise NotImplementedError

    def counts(self, found: int) -> dict[str, object]:
        """Return the counts for the summary."""
        return {"wrong": found}

    def say(self, found: list[tuple[str, str]]) -> list[str]:
        """Print a line for each finding and return the user ids."""
        for user_id, sentence in found:
            self.stdout.write(f"User {user_id}: {sentence}.")
        return [user_id for user_id, _ in found]
