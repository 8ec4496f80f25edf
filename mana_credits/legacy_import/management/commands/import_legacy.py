"""`manage.py import_legacy`: bring the earlier service's data over."""

import sys
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from credits import spreadsheets
from credits.errors import DomainError
from credits.management.progress import (
    add_apply,
    add_batch_size,
    check_books,
    progress,
    summarise,
)
from mana_credits.legacy_import import importer
from mana_credits.legacy_import.importer import Finding


class Command(BaseCommand):
    """Imports what is new in the source, and says what is wrong in it."""

    help = (
        "Imports the earlier service's database, which may be live: it is read in one snapshot. "
        "Users, transactions, open reservations, packages, purchases, Stripe customers, "
        "subscriptions, gifts, redemptions and usage. Ids and times stay; each user's "
        "transactions are numbered and joined anew. What does not add up there becomes an opening "
        "adjustment and a line of the report. Without --apply it only reports. Safe to stop and "
        "to run again: a run brings what is not here yet. Exits with 1 if the books do not close "
        "afterwards or a balance is not the source's."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the source, and where the report goes."""
        parser.add_argument(
            "--source", required=True, help="postgresql://… (the password may be in PGPASSWORD)"
        )
        parser.add_argument(
            "--report", type=Path, help="a CSV file for what is wrong in the source, not the screen"
        )
        add_apply(parser)
        add_batch_size(parser, default=1000, of="users")

    def handle(self, *, source: str, apply: bool, batch_size: int, **options: Any) -> None:
        """Report, and import with `apply`."""
        began = time.monotonic()
        with importer.alone():
            self._copy(source)
            importer.prepare()
            tally = self._report(importer.findings(), options["report"])
            counts = importer.counts()
            wrong = self._apply(batch_size, counts["users"][0]) if apply else 0
        new = "imported" if apply else "to import"
        summarise(
            self.stdout,
            {name: f"{there:,} ({missing:,} {new})" for name, (there, missing) in counts.items()}
            | {f"found: {kind}": tally.words(kind) for kind in tally.cases}
            | {"took": f"{time.monotonic() - began:,.0f} s"},
        )
        if wrong:
            sys.exit(1)
        self.stdout.write(
            "The books close, and every balance is the source's." if apply else "Nothing changed."
        )

    def _copy(self, source: str) -> None:
        try:
            for table, rows in importer.copy(source):
                self.stdout.write(f"{table}: {rows:,} rows read")
        except DomainError as refusal:
            raise CommandError(f"{refusal.text}: {refusal.details}") from refusal

    def _report(self, found: Iterable[Finding], path: Path | None) -> "Tally":
        tally = Tally()
        if path:
            spreadsheets.write(path, Finding._fields, tally.count(found))
            return tally
        for one in tally.count(found):
            whose = f"User {one.user_id}: " if one.user_id else ""
            self.stdout.write(f"{whose}{one.sentence} ({one.kind}).")
        return tally

    def _apply(self, batch_size: int, users: int) -> int:
        for work in importer.work(batch_size=batch_size, now=datetime.now(UTC)):
            with progress("Importing", total=work.total, unit=work.unit) as advance:
                for done in work.steps:
                    advance(done)
        wrong = check_books(importer.users(), out=self.stderr, total=users)
        for sentence in importer.unequal():
            self.stderr.write(sentence)
            wrong += 1
        return wrong


class Tally:
    """How many cases of each kind were found, and what doubled charges took too much."""

    def __init__(self) -> None:
        self.cases: Counter[str] = Counter()
        self._surplus: Counter[str] = Counter()
        self._credits: Counter[str] = Counter()

    def count(self, found: Iterable[Finding]) -> Iterator[Finding]:
        """Yield the findings and count them."""
        for one in found:
            self.cases[one.kind] += 1
            if one.surplus:
                self._surplus[one.kind] += int(one.surplus)
                self._credits[one.kind] += int(one.credits)
            yield one

    def words(self, kind: str) -> str:
        """Return the counts of a kind: `65 (278 surplus charges, 8,340 credits)`."""
        surplus, credits_ = self._surplus[kind], self._credits[kind]
        more = f" ({surplus:,} surplus charges, {credits_:,} credits)" if surplus else ""
        return f"{self.cases[kind]:,}{more}"
