"""`manage.py distribute`: shard the users' tables on a Citus cluster."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from credits.errors import DomainError
from credits.ledger import distribution
from credits.management.owner import require_owner


class Command(BaseCommand):
    """Distributes the ledger over the servers of a Citus cluster."""

    help = (
        "Distributes the tables of users by user id over the servers of a Citus cluster. Running "
        "it again changes only what is missing. All of it happens in one transaction. See "
        "docs/scaling.md for what a cluster needs and what it does not do."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the direction."""
        parser.add_argument(
            "--undo", action="store_true", help="bring an empty ledger back to one server"
        )

    def handle(self, *, undo: bool, **options: Any) -> None:
        """Print a sentence for each change."""
        require_owner(self)
        try:
            changes = distribution.undo() if undo else distribution.distribute()
        except DomainError as refusal:
            raise CommandError(f"{refusal.text}.") from refusal
        for sentence in changes or ["Nothing to change."]:
            self.stdout.write(sentence)
