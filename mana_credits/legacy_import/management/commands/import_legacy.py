"""`manage.py import_legacy`: import the earlier service's data."""

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
from credits.amounts import counted
from credits.errors import DomainError
from credits.management import text_files
from credits.management.owner import require_owner
from credits.management.progress import (
    add_apply,
    add_batch_size,
    check_books,
    progress,
    summarise,
)
from mana_credits.legacy_import import importer
from mana_credits.legacy_import.importer import SourceFault


class Command(BaseCommand):
    """Imports new rows of the source and reports its faults."""

    help = (
        "Imports users, transactions, open reservations, packages, purchases, Stripe customers, "
        "subscriptions, gifts, redemptions and usage from the earlier service's database. The "
        "database may be live: it is read in one snapshot. Ids and times stay. Each user's "
        "transactions are renumbered and rejoined. Differences become an opening adjustment and "
        "a line of the report. Without --apply, the command only reports. It can be interrupted "
        "and run again: each run imports what is missing. Exits with 1 if the books do not close "
        "afterwards or a balance differs from the source."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the source and the report's file."""
        parser.add_argument(
            "--source", required=True, help="postgresql://… (the password may be in PGPASSWORD)"
        )
        parser.add_argument(
            "--report",
            type=text_files.writable,
            help="write the source's faults to this CSV file",
        )
        add_apply(parser)
        add_batch_size(parser, default=1000, of="users")

    def handle(self, *, source: str, apply: bool, batch_size: int, **options: Any) -> None:
        """Write the report. With `apply`, import and check the result."""
        require_owner(self)
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
            "The books close, and every balance equals the source's."
            if apply
            else "Nothing was changed."
        )

    def _copy(self, source: str) -> None:
        try:
            for table, rows in importer.copy(source):
                self.stdout.write(f"{table}: {counted(rows, 'row')} read")
        except DomainError as refusal:
            raise CommandError(f"{refusal.text}: {refusal.details}") from refusal

    def _report(self, found: Iterable[SourceFault], path: Path | None) -> "Tally":
        tally = Tally()
        if path:
            text_files.write(path, spreadsheets.lines(SourceFault._fields, tally.count(found)))
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
    """The number of faults by kind, with the surplus charges and credits."""

    def __init__(self) -> None:
        self.cases: Counter[str] = Counter()
        self._surplus: Counter[str] = Counter()
        self._credits: Counter[str] = Counter()

    def count(self, found: Iterable[SourceFault]) -> Iterator[SourceFault]:
        """Yield the findings unchanged, and count them."""
        for one in found:
            self.cases[one.kind] += 1
            if one.surplus:
                self._surplus[one.kind] += int(one.surplus)
                self._credits[one.kind] += int(one.credits)
            yield one

    def words(self, kind: str) -> str:
        """Return the counts of a kind: `65 (278 surplus charges, 8,340 credits)`."""
        more = ""
        if surplus := self._surplus[kind]:
            charges = counted(surplus, "surplus charge")
            more = f" ({charges}, {counted(self._credits[kind], 'credit')})"
        return f"{self.cases[kind]:,}{more}"
