"""`manage.py export_user`: everything about a person, for a data request."""

from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from credits.management.progress import Advance, progress
from credits.models import Balance
from mana_credits.privacy import export


class Command(BaseCommand):
    """Writes a person's data; changes nothing."""

    help = (
        "Writes everything that is kept about a user as JSON, row by row, as of one moment: "
        "balance, transactions, purchases, reservations, gifts, events of Stripe and the rest. "
        "With --output to a file that only you can read, without to standard output. Exits with 1 "
        "when nothing is known of the user."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the user and where to write to."""
        parser.add_argument("user_id", help="the user's id in mana-auth")
        parser.add_argument("--output", type=Path, help="the file to write")

    def handle(self, *, user_id: str, output: Path | None, **options: Any) -> None:
        """Write the document."""
        parts = export.document(user_id, now=datetime.now(UTC))
        first = next(parts, None)
        if first is None:
            raise CommandError(f"Nothing is known of the user {user_id}.")
        whole = chain([first], parts)
        if output is None:
            for part in whole:
                self.stdout.write(part, ending="")
            return
        entries = Balance.objects.filter(pk=user_id).values_list("last_number", flat=True)
        with progress("Exporting", total=sum(entries), unit="rows") as advance:
            _save(_counted(whole, advance), output)
        self.stdout.write(f"{output}: {output.stat().st_size:,} bytes")


def _counted(parts: Iterable[str], advance: Advance) -> Iterator[str]:
    """Yield the parts; report the rows in each, which are its lines."""
    for part in parts:
        yield part
        advance(part.count("\n"))


def _save(parts: Iterable[str], path: Path) -> None:
    """Write the whole file beside its place first: no run leaves half of one there."""
    draft = path.with_name(f".{path.name}.part")
    draft.touch(mode=0o600)
    with draft.open("w", encoding="utf-8") as file:
        file.writelines(parts)
    draft.replace(path)
