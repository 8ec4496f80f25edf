"""`manage.py create_gift_codes`: create a campaign's gift codes and write them to a CSV file."""

import getpass
from argparse import ArgumentParser
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.core.management.base import BaseCommand, CommandError

from credits import spreadsheets, worker
from credits.amounts import counted
from credits.errors import DomainError
from credits.management import text_files
from credits.management.arguments import amount, user_id, whole_number, wrong_label
from credits.management.progress import progress
from credits.models import ActRequest
from gifts import campaigns
from gifts.codes import DEFAULT_VALIDITY, LONGEST_VALIDITY
from gifts.models import (
    CAMPAIGN_LENGTH,
    LARGEST_GIFT,
    MESSAGE_LENGTH,
    SMALLEST_GIFT,
    Campaign,
)
from mana_credits.back_office.acts import gift_campaigns, operator_accounts
from mana_credits.back_office.acts.act_requests import AlreadyRequested
from mana_credits.back_office.acts.audit import Justification, Operator
from mana_credits.back_office.acts.gift_campaigns import CampaignExists, WantedCodes

LABELS = {"--from": "creator_name", "--operator": "operator", "--reason": "reason"}


class Command(BaseCommand):
    """Creates the missing codes of a campaign and writes all of them."""

    help = (
        "Creates a campaign's gift codes, paid from --account or granted by the operator for a "
        "--reason, and writes them to a CSV file. A campaign above the operator's limit waits for "
        "a colleague's approval in the back office. Running it again with the same --campaign "
        "creates no second set: it creates the missing codes and writes the file again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options for the campaign, its codes, the payment and the file."""
        parser.add_argument("--campaign", required=True, help="the campaign's name")
        parser.add_argument("--count", type=whole_number, required=True, help="number of codes")
        parser.add_argument("--credits", type=amount, required=True, help="credits per code")
        parser.add_argument("--message", help="the message in the gifts")
        parser.add_argument("--from", dest="creator_name", help="the giver's name in the gifts")
        parser.add_argument(
            "--days",
            type=whole_number,
            default=DEFAULT_VALIDITY.days,
            help="days until the codes expire",
        )
        parser.add_argument("--account", type=user_id, help="the account that pays")
        parser.add_argument("--reason", help="the reason for granting the credits")
        parser.add_argument(
            "--operator",
            default=getpass.getuser(),
            help="an operator of the back office (default: the shell's user)",
        )
        parser.add_argument(
            "--csv", type=text_files.writable, required=True, help="the file to write"
        )

    def handle(self, *, campaign: str, **options: Any) -> None:
        """Create the missing codes and write all of them to the file."""
        _check(campaign, options)
        try:
            started = _started(_wanted(campaign, options), options["operator"])
            if isinstance(started, ActRequest):
                self.stdout.write(
                    f"{started.summary}: this waits for a colleague's approval in the back office."
                )
                return
            self._make(started)
        except DomainError as refusal:
            raise CommandError(_sentence(refusal)) from refusal
        path = options["csv"]
        written = _write(started, path)
        each = counted(started.credits, "credit")
        self.stdout.write(f"{counted(written, 'code')} of {each} in {path}")

    def _make(self, campaign: Campaign) -> None:
        known = 0
        with progress("Creating", total=campaign.count, unit="codes") as advance:
            for made in campaigns.make_codes(campaign, now=worker.now()):
                advance(made - known)
                known = made


def _check(campaign: str, options: dict[str, Any]) -> None:
    paid = options["account"] is not None
    problems = {
        "--campaign must have 1 to 100 characters": 1 <= len(campaign) <= CAMPAIGN_LENGTH,
        "--count must be at least 1": options["count"] >= 1,
        "--credits must be 1 to 10,000": SMALLEST_GIFT <= options["credits"] <= LARGEST_GIFT,
        "--days must be 1 to 365": 1 <= options["days"] <= LONGEST_VALIDITY.days,
        "--message must have at most 500 characters": len(options["message"] or "")
        <= MESSAGE_LENGTH,
        "give either --account or --reason": paid != bool(options["reason"]),
    }
    texts = {name: options[key] for name, key in LABELS.items()} | {"--campaign": campaign}
    for name, text in texts.items():
        wrong = wrong_label(text) if text else None
        problems[f"{name} {wrong}"] = wrong is None
    if broken := [sentence for sentence, holds in problems.items() if not holds]:
        raise CommandError("; ".join(broken))


def _wanted(campaign: str, options: dict[str, Any]) -> WantedCodes:
    return WantedCodes(
        campaign,
        options["count"],
        options["credits"],
        options["days"],
        account_id=options["account"],
        reason=options["reason"],
        message=options["message"],
        creator_name=options["creator_name"],
    )


def _started(wanted: WantedCodes, name: str) -> Campaign | ActRequest:
    """Return the campaign, or the request that waits. Ask for the campaign if it is new."""
    now = worker.now()
    operator = operator_accounts.acting_at_the_shell(name)
    if known := _known(wanted, operator, now):
        return known
    why = Justification(note=wanted.reason or f"Codes of {wanted.name}")
    try:
        return gift_campaigns.ask(operator, wanted, why=why, key=uuid4(), now=now)
    except (CampaignExists, AlreadyRequested):
        # Another run of the command has asked for it since `_known` looked.
        known = _known(wanted, operator, now)
        if known is None:
            raise
        return known


def _known(wanted: WantedCodes, operator: Operator, now: datetime) -> Campaign | ActRequest | None:
    if Campaign.objects.filter(pk=wanted.name).exists():
        # `start` compares the values: a repeated command with other options is an error.
        return campaigns.start(wanted.name, wanted.plan(operator, now), now=now)
    return gift_campaigns.pending(wanted.name)


def _sentence(refusal: DomainError) -> str:
    details = ", ".join(f"{name}: {value}" for name, value in (refusal.details or {}).items())
    return f"{refusal.text} ({details})" if details else refusal.text


def _write(campaign: Campaign, path: Path) -> int:
    """Write all codes to a file with mode 0600, because anybody who reads a code can redeem it."""
    gifts = campaigns.codes_of(campaign)
    rows = map(gift_campaigns.row_of, gifts.iterator())
    return text_files.write(path, spreadsheets.lines(gift_campaigns.CODES, rows)) - 1  # the header
