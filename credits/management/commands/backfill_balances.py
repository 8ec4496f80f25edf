"""`manage.py backfill_balances`: rebuild balances from the ledger."""

from typing import Any

from credits.ledger import backfills
from credits.management.backfill_command import BackfillCommand


class Command(BackfillCommand):
    """Rebuilds posted and held credits and the lifetime totals."""

    help = (
        "Rebuilds the balances from the transactions and the open reservations: posted, held, "
        "earned, spent and the number of the last transaction. Reports each balance that differs "
        "from them and, with --apply, corrects it. Safe to stop and to run again."
    )

    def repair(self, users: list[str], *, apply: bool, **options: Any) -> list[str]:
        """Report or rebuild these users' balances."""
        return self.say(backfills.balances(users, apply=apply))
