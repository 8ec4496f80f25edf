"""`manage.py reconcile_stripe`: find and apply what no Stripe event reported."""

import re
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from tqdm import tqdm

from credits import worker
from credits.due_rows import FAILED, SKIPPED
from credits.management.job_command import exit_code
from credits.payments import reconciliation
from credits.payments.findings import Finding
from credits.payments.reconciliation import DoesNotReconcile, Reconciliation
from credits.worker import Job

UNITS = {"h": "hours", "d": "days"}


def span(text: str) -> timedelta:
    """Parse a time span such as `3d` or `12h`. Raises ArgumentTypeError."""
    found = re.fullmatch(r"([0-9]{1,4})([hd])", text)
    if not found:
        raise ArgumentTypeError(f"{text!r} is not a time span such as 3d or 12h")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


class Command(BaseCommand):
    """Compares purchases, refunds and disputes with Stripe, and applies what is missing."""

    help = (
        "Lists payments, refunds and disputes at Stripe, fetches the unfinished ones known here, "
        "and applies what is missing. Prints what it applied and every difference that it cannot "
        "explain. Exits with 1 if there is an unexplained difference or a failure, with 75 if it "
        "skipped a locked object. Safe at any time, and to run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add `--since` and `--dry-run`."""
        parser.add_argument("--since", type=span, default="3d", help="how far back: 3d, 12h")
        parser.add_argument("--dry-run", action="store_true", help="change nothing")

    def handle(self, *, since: timedelta, dry_run: bool, **options: Any) -> None:
        """Print each difference; exit with 1 or 75 unless all are explained.

        A dry run is not recorded as a run of the job.
        """
        now = worker.now()
        try:
            if dry_run:
                found = reconciliation.rehearse(since=now - since, now=now)
                outcomes = Counter(reconciliation.outcomes(self._shown(found, "Would apply")))
            else:
                check = Reconciliation(since=now - since, now=now)
                shown = self._shown(check.run(), "Applied")
                job = Job("reconcile_stripe", lambda _: reconciliation.outcomes(shown))
                outcomes = worker.run(job, now=now)
        except DoesNotReconcile:
            sys.exit(1)
        if code := exit_code(outcomes):
            sys.exit(code)

    def _shown(self, found: Iterable[Finding], verb: str) -> Iterator[Finding]:
        """Print each finding and yield it; then print the counts."""
        counts: Counter[str] = Counter()
        for finding in tqdm(found, unit=" objects", disable=not sys.stderr.isatty()):
            counts["looked at"] += 1
            if finding.applied:
                counts["applied"] += 1
                self.stdout.write(f"{verb}: {finding.name}: {finding.applied}.")
            if finding.unexplained:
                counts["unexplained"] += 1
                self.stdout.write(f"Unexplained: {finding.name}: {finding.unexplained}")
            if finding.failed:
                counts[FAILED] += 1
                self.stdout.write(f"Failed: {finding.name}: {finding.failed}")
            counts[SKIPPED] += finding.locked
            yield finding
        words = ["looked at", "applied", "unexplained"]
        words += [word for word in (FAILED, SKIPPED) if counts[word]]
        self.stdout.write(", ".join(f"{counts[word]} {word}" for word in words) + ".")
