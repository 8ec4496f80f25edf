"""`manage.py erase_user`: take a person's data out of everything, keep the numbers."""

from argparse import ArgumentParser
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from credits.management import progress
from credits.models import Balance
from mana_credits.privacy import erasure
from mana_credits.privacy.erasure import Erased


class Command(BaseCommand):
    """Erases a person, or says what that would do."""

    help = (
        "Moves all that a user has to a random id and removes names, e-mail addresses, texts, "
        "metadata, idempotency keys and the link to Stripe; the numbers of the ledger stay. Open "
        "reservations are released and the person's gifts returned first. Without --apply it only "
        "says what it would do: the rows of the history are counted, and everything else is tried "
        "and undone. Addresses of gifts that the user redeemed are known; name others with "
        "--email, so that gifts sent there are found too. "
        "There is no way back: use export_user before, if the person wants their data."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the user, their addresses, and that it is meant."""
        parser.add_argument("user_id", help="the user's id in mana-auth")
        parser.add_argument(
            "--email", action="append", default=[], help="an address of theirs; may be repeated"
        )
        progress.add_apply(parser)

    def handle(self, *, user_id: str, email: list[str], apply: bool, **options: Any) -> None:
        """Erase, check the books of what is left, and count; or count what that would change."""
        if not apply:
            with _undone():
                steps = erasure.erasing(user_id, addresses=email, count_only=True)
                self._tell(_result(steps, advance=lambda _: None), apply=False)
            return
        entries = Balance.objects.filter(pk=user_id).values_list("last_number", flat=True)
        with progress.progress("Erasing", total=sum(entries), unit="transactions") as advance:
            steps = erasure.erasing(user_id, addresses=email)
            erased = _result(steps, advance=advance)
        wrong = progress.check_books([erased.pseudonym], out=self.stderr)
        self._tell(erased, apply=True)
        if wrong:
            raise CommandError(f"{wrong} discrepancies")

    def _tell(self, erased: Erased, *, apply: bool) -> None:
        if not erased.rows:
            self.stdout.write("Nothing is known of this user.")
            return
        progress.summarise(self.stdout, dict(sorted(erased.rows.items())))
        if apply:
            self.stdout.write(f"Erased: what is left belongs to {erased.pseudonym}.")
        else:
            self.stdout.write("Nothing was changed. With --apply all of this is erased.")


def _result(steps: Generator[int, None, Erased], *, advance: progress.Advance) -> Erased:
    while True:
        try:
            advance(next(steps))
        except StopIteration as end:
            erased: Erased = end.value
            return erased


@contextmanager
def _undone() -> Iterator[None]:
    """Undo what the block does."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
