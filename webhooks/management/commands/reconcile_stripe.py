"""`manage.py reconcile_stripe`: find what Stripe's events did not tell."""

import re
import sys
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand
from tqdm import tqdm

from webhooks.reconciling import Check

UNITS = {"h": "hours", "d": "days"}


def span(text: str) -> timedelta:
    """Return the span that `3d` or `12h` means."""
    found = re.fullmatch(r"(\d{1,4})([hd])", text)
    if not found:
        raise ArgumentTypeError(f"{text!r} is no span such as 3d or 12h")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


class Command(BaseCommand):
    """Applies what Stripe knows of purchases, refunds and disputes."""

    help = (
        "Lists payments, refunds and disputes at Stripe, asks for what is unfinished here, and "
        "applies what is missing. Prints what it applied and what stands on one side only; exits "
        "with 1 if there is anything that it cannot explain. Safe at any time, and to run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take how far back to look, and whether to change anything."""
        parser.add_argument("--since", type=span, default="3d", help="how far back: 3d, 12h")
        parser.add_argument("--dry-run", action="store_true", help="change nothing")

    def handle(self, *, since: timedelta, dry_run: bool, **options: Any) -> None:
        """Print each difference; exit with 1 if any is unexplained."""
        now = datetime.now(UTC)
        check = Check(since=now - since, now=now, dry_run=dry_run)
        looked_at = applied = unexplained = 0
        for finding in tqdm(check.run(), unit=" objects", disable=not sys.stderr.isatty()):
            looked_at += 1
            if finding.applied:
                applied += 1
                verb = "Would apply" if dry_run else "Applied"
                self.stdout.write(f"{verb}: {finding.name}: {finding.applied}.")
            if finding.unexplained:
                unexplained += 1
                self.stdout.write(f"Unexplained: {finding.name}: {finding.unexplained}")
        self.stdout.write(f"{looked_at} looked at, {applied} applied, {unexplained} unexplained.")
        if unexplained:
            sys.exit(1)
