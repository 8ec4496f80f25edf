"""The base of commands that repair what follows from the ledger, users by users."""

import sys
from argparse import ArgumentParser
from typing import Any, ClassVar

from django.core.management.base import BaseCommand

from credits.ledger import books
from credits.management.progress import (
    add_apply,
    add_batch_size,
    check_books,
    progress,
    summarise,
)
from credits.models import Balance


class BackfillCommand(BaseCommand):
    """Walks over all users; subclasses say what is wrong with a batch, and put it right."""

    applies: ClassVar[bool] = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take whether to change anything, and the size of a batch."""
        add_apply(parser, default=self.applies)
        add_batch_size(parser, default=1000, of="users")

    def handle(self, *, apply: bool, batch_size: int, **options: Any) -> None:
        """Walk, report, and check the users whose rows were changed; exit with 1 if that fails."""
        wrong, users, found = 0, 0, 0
        with progress("Looking", total=Balance.objects.count(), unit="users") as advance:
            for batch in books.all_users(batch_size=batch_size):
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
        """Say what is wrong, and with `apply` put it right; return whose rows, one for each."""
        raise NotImplementedError

    def counts(self, found: int) -> dict[str, object]:
        """Return what the summary says of what was found."""
        return {"wrong": found}

    def say(self, found: list[tuple[str, str]]) -> list[str]:
        """Write a line for each thing found; return the users."""
        for user_id, sentence in found:
            self.stdout.write(f"User {user_id}: {sentence}.")
        return [user_id for user_id, _ in found]
