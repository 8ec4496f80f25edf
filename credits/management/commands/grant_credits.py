"""`manage.py grant_credits`: credits for many users, under a campaign's name."""

import csv
import getpass
import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from credits.amounts import InvalidAmount, plain, positive
from credits.ledger import campaign_grants
from credits.ledger.campaign_grants import Campaign, Grant, Granted
from credits.management.progress import (
    add_apply,
    add_batch_size,
    batches,
    check_books,
    progress,
    summarise,
)

LONGEST_NAME = 100
LONGEST_REASON = 500
LONGEST_USER_ID = 255


class Command(BaseCommand):
    """Grants what a file says, each user once per campaign."""

    help = (
        "Grants credits to the users of a CSV file with the columns user_id and credits, for one "
        "reason. A user gets them once per --campaign, however often and with whatever file it is "
        "run. The whole file is read before anything is granted. Without --apply it only says "
        "what it would do. Safe to stop and to run again. Exits with 1 if a user got another "
        "amount by this campaign before, or the books of the users do not close."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file, the campaign, and who grants why."""
        parser.add_argument("--csv", type=Path, required=True, help="user_id,credits with a header")
        parser.add_argument("--campaign", required=True, help="the campaign's name")
        parser.add_argument("--reason", required=True, help="what the entries say")
        parser.add_argument(
            "--operator", default=getpass.getuser(), help="who grants (the shell's user)"
        )
        add_apply(parser)
        add_batch_size(parser, default=500, of="grants")

    def handle(self, *, apply: bool, batch_size: int, **options: Any) -> None:
        """Grant, or say what would be granted."""
        campaign = _campaign(options)
        path: Path = options["csv"]
        total = sum(1 for _ in _grants(path))
        step = campaign_grants.give if apply else campaign_grants.plan
        counts, total_credits = (
            Counter({"granted": 0, "had theirs": 0, "had another amount": 0}),
            Decimal(0),
        )
        with progress("Granting", total=total, unit="users") as advance:
            for batch in batches(_grants(path), batch_size):
                for one in step(campaign, batch):
                    counts[self._outcome(one)] += 1
                    total_credits += one.grant.amount if one.given else 0
                advance(len(batch))
        verb = "granted" if apply else "to grant"
        summarise(self.stdout, {**counts, f"credits {verb}": plain(total_credits)})
        wrong = counts["had another amount"]
        if apply:
            wrong += check_books((grant.user_id for grant in _grants(path)), out=self.stderr)
        if wrong:
            sys.exit(1)
        self.stdout.write("Granted." if apply else "Nothing changed.")

    def _outcome(self, one: Granted) -> str:
        if one.given:
            return "granted"
        if one.before == one.grant.amount:
            return "had theirs"
        before, amount = plain(one.before or Decimal(0)), plain(one.grant.amount)
        self.stderr.write(f"User {one.grant.user_id} got {before} before, not {amount}.")
        return "had another amount"


def _campaign(options: dict[str, Any]) -> Campaign:
    name, reason, operator = options["campaign"], options["reason"], options["operator"]
    problems = {
        f"--campaign has 1 to {LONGEST_NAME} characters": 1 <= len(name) <= LONGEST_NAME,
        f"--reason has 1 to {LONGEST_REASON} characters": 1 <= len(reason) <= LONGEST_REASON,
        "--operator has 1 to 200 characters": 1 <= len(operator) <= 200,
    }
    if broken := [sentence for sentence, holds in problems.items() if not holds]:
        raise CommandError("; ".join(broken))
    return Campaign(name, reason, f"operator:{operator}")


def _grants(path: Path) -> Iterator[Grant]:
    """Yield the file's grants; raise CommandError with the line that is none."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.DictReader(file)
        if set(lines.fieldnames or ()) != {"user_id", "credits"}:
            raise CommandError("The file's first line must be: user_id,credits")
        for line in lines:
            yield _grant(line, number=lines.line_num)


def _grant(line: dict[str, Any], *, number: int) -> Grant:
    user_id = line["user_id"] or ""
    try:
        amount = positive(Decimal(line["credits"] or ""))
    except (InvalidOperation, InvalidAmount) as error:
        raise CommandError(f"Line {number}: {line['credits']!r} is no amount of credits") from error
    if not 1 <= len(user_id) <= LONGEST_USER_ID or "\0" in user_id or None in line:
        raise CommandError(f"Line {number}: a user id of 1 to 255 characters and an amount")
    return Grant(user_id, amount)
