"""`manage.py grant_credits`: grant credits to many users in a campaign."""

import getpass
import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.core.management.base import BaseCommand, CommandError

from credits import worker
from credits.amounts import counted, plain
from credits.errors import DomainError
from credits.ledger import campaign_grants, grant_files
from credits.ledger.campaign_grants import CampaignTerms, FileUsedBefore, Granted, Outcome, State
from credits.ledger.grant_files import GrantFile
from credits.management.arguments import wrong_label
from credits.management.progress import (
    add_apply,
    check_books,
    progress,
    summarise,
)
from credits.models import GrantCampaign
from credits.models.grant_campaigns import NAME_LENGTH, REASON_LENGTH
from credits.spreadsheets import SpreadsheetUnreadable
from mana_credits.back_office.acts import grant_requests, operator_accounts
from mana_credits.back_office.acts.audit import Justification
from mana_credits.back_office.acts.grant_requests import WantedGrants

LONGEST = {"campaign": NAME_LENGTH, "reason": REASON_LENGTH, "operator": 150}


class Command(BaseCommand):
    """Grants the credits listed in a file, to each user once per campaign."""

    help = (
        "Grants credits to the users of a CSV file in UTF-8 with the columns user_id and credits, "
        "for one reason. A user gets them once per --campaign, even if the command is repeated or "
        "run with another file. The whole file is validated before anything is granted. It is "
        "rejected with every wrong line if it names a user twice, or has an id that the API "
        "rejects or an amount that is not written as 5 or 0.1; --leave-out-refused leaves those "
        "lines out. Without --apply the grants are posted and rolled back, so the numbers are "
        "those of a real run. With --apply, a file above the operator's limit waits for a "
        "colleague's approval in the back office; afterwards the worker posts it, or the same "
        "command. Safe to stop and to run again. Exits with 1 if a user got another amount in "
        "this campaign before, if a grant was refused or is waiting, or if the users' books do "
        "not close."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the file, the campaign, the reason and the operator."""
        parser.add_argument("--csv", type=Path, required=True, help="the file, with a header line")
        parser.add_argument("--campaign", required=True, help="the campaign's name")
        parser.add_argument("--reason", required=True, help="the description of the transactions")
        parser.add_argument(
            "--operator",
            default=getpass.getuser(),
            help="who grants: an operator of the back office (default: the shell's user)",
        )
        parser.add_argument(
            "--leave-out-refused", action="store_true", help="grant the other lines of the file"
        )
        parser.add_argument(
            "--again", action="store_true", help="grant the file of an earlier campaign again"
        )
        add_apply(parser)

    def handle(self, *, apply: bool, **options: Any) -> None:
        """Grant, or rehearse; exit with 1 if a grant differs, is refused, or books do not close."""
        _check(options)
        file = self._file(options)
        if apply:
            campaign = self._campaign(file, options)
            granted = _posted(campaign)
        else:
            terms = CampaignTerms(
                options["campaign"], options["reason"], f"operator:{options['operator']}"
            )
            granted = (campaign_grants.rehearse(terms, one) for one in file.grants.values())
        counts, total = self._count(granted, len(file.grants))
        summarise(self.stdout, {**counts, f"credits {_verb(apply)}": plain(total)})
        wrong = check_books((one.user_id for one in file.grants.values()), out=self.stderr)
        if counts["waiting"]:
            self.stderr.write(
                "Waiting grants were not posted, for example because a balance was locked. The "
                "worker retries them."
            )
        if wrong or counts["had another amount"] or counts["refused"] or counts["waiting"]:
            sys.exit(1)
        self.stdout.write("Granted." if apply else "Nothing changed.")

    def _file(self, options: dict[str, Any]) -> GrantFile:
        try:
            file = grant_files.from_path(options["csv"])
        except SpreadsheetUnreadable as error:
            raise CommandError(str(error)) from error
        lines = [f"Line {one.line}: {one.sentence}" for one in file.refused]
        if lines and not options["leave_out_refused"]:
            raise CommandError("\n".join(lines))
        for line in lines:
            self.stderr.write(f"Left out: {line}")
        return file

    def _campaign(self, file: GrantFile, options: dict[str, Any]) -> GrantCampaign:
        """Return the running or completed campaign of the file; ask for it if it is new.

        Exit with 0 if it waits for a colleague.
        """
        try:
            campaign = _stored(file, options)
        except DomainError as refusal:
            raise CommandError(
                f"{refusal.text}: {refusal.details}" if refusal.details else refusal.text
            ) from refusal
        if campaign.state == State.PENDING:
            users, total = counted(campaign.count, "user"), counted(campaign.total, "credit")
            self.stdout.write(
                f"{users}, {total}: this waits for a colleague's approval in the back office."
            )
            sys.exit(0)
        return campaign

    def _count(self, granted: Iterable[Granted], total_count: int) -> tuple[Counter[str], Decimal]:
        counts = Counter({"granted": 0, "granted before": 0, "had another amount": 0, "refused": 0})
        total = Decimal(0)
        with progress("Granting", total=total_count, unit="users") as advance:
            for one in granted:
                counts[one.outcome.label.lower()] += 1
                total += one.grant.amount if one.outcome == Outcome.GRANTED else 0
                if one.detail:
                    self.stderr.write(f"User {one.grant.user_id}: {one.detail.rstrip('.')}.")
                advance(1)
        return counts, total


def _stored(file: GrantFile, options: dict[str, Any]) -> GrantCampaign:
    """Return the stored campaign of the file. Store it, and ask for approval, if it is new."""
    if known := campaign_grants.find(options["campaign"], file.digest):
        return known
    try:
        return _ask(file, options)
    except FileUsedBefore:
        # Another run of the command may have stored it since it was not found.
        if known := campaign_grants.find(options["campaign"], file.digest):
            return known
        raise


def _ask(file: GrantFile, options: dict[str, Any]) -> GrantCampaign:
    wanted = WantedGrants(
        options["campaign"],
        options["reason"],
        file,
        leave_out=options["leave_out_refused"],
        again=options["again"],
    )
    return grant_requests.ask(
        operator_accounts.acting_at_the_shell(options["operator"]),
        wanted,
        why=Justification(note=options["reason"]),
        key=uuid4(),
        now=worker.now(),
    )


def _posted(campaign: GrantCampaign) -> Iterator[Granted]:
    """Yield the outcomes of the rows that are posted already, then those of the others."""
    # A repeated command reports the rows of earlier runs too, so its numbers are those of the file.
    yield from campaign_grants.outcomes(campaign)
    for settled in campaign_grants.post(campaign, now=worker.now()):
        yield campaign_grants.outcome_of(settled)


def _verb(apply: bool) -> str:
    return "granted" if apply else "to grant"


def _check(options: dict[str, Any]) -> None:
    problems = []
    for name, length in LONGEST.items():
        if not 1 <= len(options[name]) <= length:
            problems.append(f"--{name} must have 1 to {length} characters")
        elif sentence := wrong_label(options[name]):
            problems.append(f"--{name} {sentence}")
    if problems:
        raise CommandError("; ".join(problems))
