"""`manage.py expire_reservations`: free the credits of reservations whose time is over."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand

from credits.ledger import reservations


class Command(BaseCommand):
    """Expires what is due; any number of these may run at once."""

    help = (
        "Expires open reservations whose time is over, each in its own transaction. Safe to stop, "
        "to run again, and to run many times at once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take how many at most."""
        parser.add_argument("--limit", type=int, default=100_000, help="expire at most so many")

    def handle(self, *, limit: int, **options: Any) -> None:
        """Expire and count."""
        expired = reservations.expire_due(now=datetime.now(UTC), limit=limit)
        self.stdout.write(f"{sum(1 for _ in expired)} reservations expired.")
