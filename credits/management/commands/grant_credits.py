"""`manage.py grant_credits`: grant credits to many users in a campaign."""

import getpass
import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from credits import spreadsheets
from credits.amounts import plain, read
from credits.errors import DomainError
from credits.ledger import campaign_grants
from credits.ledger.campaign_grants import Campaign, Grant, Granted
from credits.management.arguments import wrong_label, wrong_user_id
from credits.management.progress import (
    add_apply,
    add_batch_size,
    batches,
    check_books,
    progress,
    summarise,
)
from credits.spreadsheets import Row, SpreadsheetUnreadable

COLUMNS = ("user_id", "credits")
LONGEST_NAME = 100
LONGEST_REASON = 500
LONGEST_OPERATOR = 200

Step = Callable[[Campaign, list[Grant]], list[Granted]]


class Command(BaseCommand):
    """Grants the credits listed in a file, to each user once per campaign."""

    help = (
        "Grants credits to the users of a CSV file in UTF-8 with the columns user_id and credits, "
        "for one reason. A user gets them once per --campaign, even if the command is repeated or "
        "run with another file. The whole file is validated before anything is granted. It is "
        "rejected if it names a user twice, or has an id that the API rejects or an amount that "
        "is not written as 5 or 0.1. Without --apply the grants are posted and rolled back, so "
        "the numbers are those of a real run. Safe to stop and to run again. Exits with 1 if a "
        "user got another amount in this campaign before, or if the users' books do not close."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the file, the campaign, the reason and the operator."""
        parser.add_argument("--csv", type=Path, required=True, help="the file, with a header line")
        parser.add_argument("--campaign", required=True, help="the campaign's name")
        parser.add_argument("--reason", required=True, help="the description of the transactions")
        parser.add_argument(
            "--operator", default=getpass.getuser(), help="who grants (default: the shell's user)"
        )
        add_apply(parser)
        add_batch_size(parser, default=500, of="grants")

    def handle(self, *, apply: bool, batch_size: int, **options: Any) -> None:
        """Grant, or rehearse; exit with 1 if an amount differs or the books do not close."""
        campaign = _campaign(options)
        grants = _grants(options["csv"])
        counts, total = self._grant(campaign, grants, batch_size=batch_size, apply=apply)
        verb = "granted" if apply else "to grant"
        summarise(self.stdout, {**counts, f"credits {verb}": plain(total)})
        wrong = check_books((grant.user_id for grant in grants), out=self.stderr)
        if counts["had another amount"] or wrong:
            sys.exit(1)
        self.stdout.write("Granted." if apply else "Nothing changed.")

    def _grant(
        self, campaign: Campaign, grants: list[Grant], *, batch_size: int, apply: bool
    ) -> tuple[Counter[str], Decimal]:
        counts = Counter({"granted": 0, "granted before": 0, "had another amount": 0})
        total = Decimal(0)
        step = campaign_grants.give if apply else campaign_grants.rehearse
        with progress("Granting", total=len(grants), unit="users") as advance:
            for batch in batches(grants, batch_size):
                for one in _granted(step, campaign, batch):
                    counts[self._outcome(one)] += 1
                    total += one.grant.amount if one.given else 0
                advance(len(batch))
        return counts, total

    def _outcome(self, one: Granted) -> str:
        if one.given:
            return "granted"
        if one.before == one.grant.amount:
            return "granted before"
        before, amount = plain(one.before or Decimal(0)), plain(one.grant.amount)
        self.stderr.write(f"User {one.grant.user_id} got {before} before, not {amount}.")
        return "had another amount"


def _granted(step: Step, campaign: Campaign, batch: list[Grant]) -> list[Granted]:
    try:
        return step(campaign, batch)
    except DomainError as refusal:
        raise CommandError(
            f"{refusal.text}: {refusal.details}. Earlier batches were granted."
        ) from refusal


def _campaign(options: dict[str, Any]) -> Campaign:
    longest = {"campaign": LONGEST_NAME, "reason": LONGEST_REASON, "operator": LONGEST_OPERATOR}
    problems = []
    for name, length in longest.items():
        if not 1 <= len(options[name]) <= length:
            problems.append(f"--{name} must have 1 to {length} characters")
        elif sentence := wrong_label(options[name]):
            problems.append(f"--{name} {sentence}")
    if problems:
        raise CommandError("; ".join(problems))
    return Campaign(options["campaign"], options["reason"], f"operator:{options['operator']}")


def _grants(path: Path) -> list[Grant]:
    """Read the file's grants. Raises CommandError with the line of the first error."""
    grants, line_of = [], dict[str, int]()
    try:
        for row in spreadsheets.read(path, COLUMNS):
            grant = _grant(row)
            if first := line_of.get(grant.user_id):
                raise CommandError(
                    f"Lines {first} and {row.line} name the same user, {grant.user_id}"
                )
            line_of[grant.user_id] = row.line
            grants.append(grant)
    except SpreadsheetUnreadable as error:
        raise CommandError(str(error)) from error
    return grants


def _grant(row: Row) -> Grant:
    user_id = row.cells["user_id"]
    if sentence := wrong_user_id(user_id):
        raise CommandError(f"Line {row.line}: {sentence}")
    try:
        return Grant(user_id, read(row.cells["credits"]))
    except ValueError as error:
        raise CommandError(f"Line {row.line}: {error}") from error
