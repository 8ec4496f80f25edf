"""`manage.py process_stripe_events`: apply stored events that could not be applied before."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from credits.due_rows import SKIPPED
from credits.management.job_command import LimitedJobCommand
from credits.worker import Job
from webhooks import events


class Command(LimitedJobCommand):
    """Takes every stored, unprocessed event again."""

    help = (
        "Applies the events of Stripe that were stored and not processed, oldest first, each in "
        "its own transaction. Exits with 1 if any fails again, with 75 if one was skipped because "
        "somebody else has locked it. Safe at any time."
    )
    job = events.PROCESS_JOB

    def handle(self, **options: Any) -> None:
        """Apply and count; print what fails."""
        limit: int = options["limit"]
        self.run_job(Job(self.job, lambda now: self._outcomes(now, limit)))

    def _outcomes(self, now: datetime, limit: int) -> Iterator[str]:
        for event_id, outcome, error in events.process_due(now=now, limit=limit):
            if error:
                self.stdout.write(f"{event_id}: {type(error).__name__}: {error}")
            elif outcome == SKIPPED:
                self.stdout.write(f"{event_id}: locked")
            yield outcome
