"""`manage.py process_stripe_events`: apply the stored events that are not processed yet."""

from collections.abc import Iterator
from datetime import datetime

from credits.management.job_command import LimitedJobCommand
from webhooks import events


class Command(LimitedJobCommand):
    """Retries every unprocessed event."""

    help = (
        "Applies the stored Stripe events that are not processed yet, oldest first, each in its "
        "own transaction. Exits with 1 if one fails again, with 75 if one was skipped because "
        "another process has locked it. Safe at any time."
    )
    job = events.PROCESS_JOB

    def settle(self, *, now: datetime, limit: int) -> Iterator[str]:
        """Apply the events and print each one that failed or is locked."""
        for settled in events.process_due(now=now, limit=limit):
            if error := settled.error:
                self.stdout.write(f"{settled.key}: {type(error).__name__}: {error}")
            elif settled.locked:
                self.stdout.write(f"{settled.key}: locked")
            yield settled.outcome
