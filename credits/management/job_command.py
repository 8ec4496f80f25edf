"""The base of commands that run one of the worker's jobs."""

from typing import Any, ClassVar

from django.core.management.base import BaseCommand

from credits import worker


class JobCommand(BaseCommand):
    """Runs the job named `job`, as the worker does, and prints what it came to."""

    job: ClassVar[str]

    def handle(self, **options: Any) -> None:
        """Run once and count."""
        outcomes = worker.run(worker.jobs()[self.job], now=worker.now())
        counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        self.stdout.write(f"{self.job}: {counts or 'nothing was due'}.")
