"""`manage.py expire_gifts`: give the credits of expired gifts back to their creators."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand

from gifts import expiry


class Command(BaseCommand):
    """Expires what is due; any number of these may run at once."""

    help = (
        "Gives the credits of gifts whose time is over back to their creators, in batches. Safe to "
        "stop, to run again, and to run many times at once. Also forgets old counts of wrong codes."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take how many at most."""
        parser.add_argument("--limit", type=int, default=100_000, help="expire at most so many")

    def handle(self, *, limit: int, **options: Any) -> None:
        """Expire and count."""
        expired = sum(expiry.expire_due(now=datetime.now(UTC), limit=limit))
        self.stdout.write(f"{expired} gifts expired.")
