"""`manage.py verify_statement FILE`: verify a kept statement."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from credits.amounts import counted, plain
from credits.errors import DomainError
from credits.management.text_files import read_json
from credits.reporting import statement_checks, statement_signatures
from credits.reporting.statement_checks import VerifiedStatement
from credits.reporting.statement_signatures import PublicKeys


class Command(BaseCommand):
    """Verifies the signatures, the sheets and the arithmetic of a statement."""

    help = (
        "Verifies a statement in a file, as GET /api/v1/credits/statements/MONTH returns it, or as "
        "the page saves it. Uses the keys of STATEMENT_KEYS, or a JWKS document. Reads no "
        "database. Exits with 1 if the statement is not genuine or incomplete."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the file and the keys."""
        parser.add_argument("file", type=Path, help="the statement: one sheet, or an array of all")
        parser.add_argument(
            "--keys", type=Path, metavar="FILE", help="JSON of GET /api/v1/statements/keys"
        )

    def handle(self, *, file: Path, keys: Path | None, **_: Any) -> None:
        """Print the verified totals. Raises CommandError if the statement is invalid."""
        known = _keys(keys) if keys else statement_signatures.public_keys()
        try:
            found = statement_checks.verify(read_json(file), known)
        except DomainError as error:
            raise CommandError(f"{file}: {error.text}.") from error
        self.stdout.write(_sentence(found))


def _sentence(found: VerifiedStatement) -> str:
    state = "final" if found.final else "not final: the month was not over"
    return (
        f"The statement of {found.month} for {found.user_id} by {found.issuer} is genuine "
        f"({state}, made {found.created_at}): opening {plain(found.opening)}, "
        f"{counted(found.movements, 'movement')}, closing {plain(found.closing)}."
    )


def _keys(path: Path) -> PublicKeys:
    try:
        return statement_signatures.read_key_set(read_json(path))
    except ValueError as error:
        raise CommandError(f"{path} is {error}.") from error
