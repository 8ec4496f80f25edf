"""The base classes of commands that run one of the worker's jobs."""

import os
import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, ClassVar

from django.core.management.base import BaseCommand

from credits import due_rows, worker
from credits.due_rows import FAILED, SKIPPED
from credits.management import arguments
from credits.worker import Job


class JobCommand(BaseCommand):
    """Runs the job named `job` as the worker does and prints its outcomes.

    Postponed rows are retried at once. The exit code is 1 if a row failed, or 75 (EX_TEMPFAIL of
    sysexits.h: try again later) if a row was skipped because it is locked.
    """

    job: ClassVar[str]

    def handle(self, **options: Any) -> None:
        """Run the job once and print the count of each outcome."""
        self.run_job(worker.jobs()[self.job])

    def run_job(self, job: Job) -> None:
        """Run `job`, print the count of each outcome, and exit unless all rows succeeded."""
        now = worker.now()
        due_rows.retry_postponed(job.name, now=now)
        outcomes = worker.run(job, now=now)
        counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        self.stdout.write(f"{job.name}: {counts or 'nothing was due'}.")
        if code := exit_code(outcomes):
            sys.exit(code)


class LimitedJobCommand(JobCommand):
    """Runs a job on at most `--limit` rows.

    A command that prints more than the counts replaces the job's function by its method `settle`.
    """

    settle: Callable[..., Iterable[str]] | None = None

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add `--limit`."""
        parser.add_argument(
            "--limit",
            type=arguments.whole_number,
            default=100_000,
            help="maximum number of rows",
        )

    def handle(self, **options: Any) -> None:
        """Run the job once with the limit and print the count of each outcome."""
        job = worker.jobs()[self.job]
        self.run_job(replace(job, run=self.settle or job.run, limit=options["limit"]))


def exit_code(outcomes: Counter[str]) -> int:
    """Return the exit code of a run: 1 if a row failed, 75 if one was skipped, else 0."""
    return 1 if outcomes[FAILED] else os.EX_TEMPFAIL if outcomes[SKIPPED] else 0
