"""`manage.py erase_user`: delete a person's data and keep the numbers of the ledger."""

from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from credits.amounts import counted
from credits.bulkheads import TooBusy
from credits.management import progress
from credits.models import Balance
from mana_credits.privacy import erasure
from mana_credits.privacy.erasure import Erased


class Command(BaseCommand):
    """Erases a person. Without --apply, reports the changes only."""

    help = (
        "Moves all of a user's rows to a random id and deletes names, e-mail addresses, texts, "
        "metadata, idempotency keys and the link to Stripe. The numbers of the ledger stay. Open "
        "reservations are released and the person's gifts returned first. Without --apply, the "
        "command only reports the changes: it counts the rows of the history, and it makes and "
        "rolls back all other changes. The service knows the addresses of gifts that the user "
        "redeemed. Add other addresses with --email, so that gifts sent there are found too. "
        "This cannot be undone. Run export_user first if the person wants their data."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the user id, their e-mail addresses and --apply."""
        parser.add_argument("user_id", help="the user's id in mana-auth")
        parser.add_argument(
            "--email", action="append", default=[], help="the user's address; may be repeated"
        )
        progress.add_apply(parser)

    def handle(self, *, user_id: str, email: list[str], apply: bool, **options: Any) -> None:
        """Erase, check the books of the pseudonym and report; without --apply, only report."""
        try:
            self._erase(user_id, email, apply=apply)
        except TooBusy as error:
            raise CommandError(f"{error.text}. Run the command again.") from error

    def _erase(self, user_id: str, email: list[str], *, apply: bool) -> None:
        if not apply:
            with _undone():
                steps = erasure.erasing(user_id, addresses=email, count_only=True)
                self._tell(erasure.completed(steps), apply=False)
            return
        entries = Balance.objects.filter(pk=user_id).values_list("last_number", flat=True)
        with progress.progress("Erasing", total=sum(entries), unit="transactions") as advance:
            steps = erasure.erasing(user_id, addresses=email)
            erased = erasure.completed(steps, advance=advance)
        wrong = progress.check_books([erased.pseudonym], out=self.stderr)
        self._tell(erased, apply=True)
        if wrong:
            raise CommandError(counted(wrong, "discrepancy", "discrepancies"))

    def _tell(self, erased: Erased, *, apply: bool) -> None:
        if not erased.rows:
            self.stdout.write("This user is unknown.")
            return
        progress.summarise(self.stdout, dict(sorted(erased.rows.items())))
        if apply:
            self.stdout.write(f"Erased. The remaining rows belong to {erased.pseudonym}.")
        else:
            self.stdout.write("Nothing was changed. Use --apply to erase these rows.")


@contextmanager
def _undone() -> Iterator[None]:
    """Roll back the changes of the block."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
