"""`manage.py export_user`: export a person's data for a data request."""

from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from credits.management import text_files
from credits.management.progress import Advance, progress
from credits.models import Balance
from mana_credits.privacy import export


class Command(BaseCommand):
    """Writes a person's data as JSON. Changes nothing."""

    help = (
        "Writes all rows about a user as JSON, as of one point in time: balance, transactions, "
        "purchases, reservations, gifts, Stripe events and all others. With --output, writes a "
        "file that only you can read; otherwise writes to standard output. Exits with 1 if the "
        "user is unknown."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the user id and the output file."""
        parser.add_argument("user_id", help="the user's id in mana-auth")
        parser.add_argument("--output", type=text_files.writable, help="the file to write")

    def handle(self, *, user_id: str, output: Path | None, **options: Any) -> None:
        """Write the document. Raises CommandError for an unknown user."""
        # Closing the document ends its transaction, also if the output cannot be written.
        with closing(export.document(user_id, now=datetime.now(UTC))) as parts:
            first = next(parts, None)
            if first is None:
                raise CommandError(f"The user {user_id} is unknown.")
            self._write(user_id, chain([first], parts), output)

    def _write(self, user_id: str, whole: Iterable[str], output: Path | None) -> None:
        if output is None:
            for part in whole:
                self.stdout.write(part, ending="")
            return
        entries = Balance.objects.filter(pk=user_id).values_list("last_number", flat=True)
        with progress("Exporting", total=sum(entries), unit="rows") as advance:
            text_files.write(output, _counted(whole, advance))
        self.stdout.write(f"{output}: {output.stat().st_size:,} bytes")


def _counted(parts: Iterable[str], advance: Advance) -> Iterator[str]:
    """Yield the parts, and advance the progress by the rows (lines) of each."""
    for part in parts:
        yield part
        advance(part.count("\n"))
