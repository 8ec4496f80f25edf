"""`manage.py generate_demo_data`: create a year of demo data, for trials and measurements."""

import time
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from credits.management import arguments, progress
from mana_credits.dev.demo import community
from mana_credits.dev.demo.demo_users import DemoSize


class Command(BaseCommand):
    """Creates demo data in a database without real users."""

    help = (
        "Creates users with a year of history: purchases with refunds and disputes, usage by "
        "operation, grants, refunds, gifts, open reservations, Cloud Sync and corrections. All "
        "entries are posted under the ledger's own rules, and the books of these users are "
        "checked at the end. A few users have very many transactions, most have few. The same "
        "--seed gives the same users. Run the same command again to complete an interrupted run. "
        "Refuses to run with DEBUG off or beside real users, unless --anyway is given."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the size, the seed and --anyway."""
        number = arguments.whole_number
        parser.add_argument("--users", type=number, default=1_000, help="number (1,000)")
        parser.add_argument(
            "--transactions", type=number, default=10_000, help="number over all users (10,000)"
        )
        parser.add_argument("--seed", type=number, default=1, help="random seed (1)")
        parser.add_argument(
            "--anyway", action="store_true", help="also with DEBUG off or beside real users"
        )

    def handle(self, *, anyway: bool, **options: Any) -> None:
        """Create the data and check its books. Raises CommandError if they do not close."""
        if not anyway:
            _refuse()
        size = DemoSize(options["users"], options["transactions"], options["seed"])
        if size.transactions < size.users:
            raise CommandError("--transactions must be at least --users")
        began = time.monotonic()
        users = self._make(size)
        seconds = time.monotonic() - began
        wrong = self._check(users)
        progress.summarise(
            self.stdout,
            {
                "users": len(users),
                "transactions": size.transactions,
                "seconds": round(seconds),
                "discrepancies": wrong,
            },
        )
        if wrong:
            raise CommandError("The books do not close.")

    def _make(self, size: DemoSize) -> list[str]:
        users: list[str] = []
        with progress.progress("Made", total=size.transactions, unit="transactions") as advance:
            for batch, transactions in community.make(size, now=_now()):
                users.extend(person.id for person in batch)
                advance(transactions)
        return users

    def _check(self, users: list[str]) -> int:
        with progress.progress("Checked", total=len(users), unit="users") as advance:
            return progress.check_books(_counted(users, advance), out=self.stdout)


def _counted(users: list[str], advance: progress.Advance) -> Iterator[str]:
    for user_id in users:
        advance(1)
        yield user_id


def _refuse() -> None:
    if not settings.DEBUG:
        raise CommandError("DEBUG is off: this may be production. Use --anyway if it is not.")
    if community.has_real_users():
        raise CommandError("The database has real users. Use --anyway to add demo users.")


def _now() -> datetime:
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
