"""`manage.py expire_gifts`: give the credits of expired gifts back to their creators."""

from typing import Any

from credits.management.job_command import LimitedJobCommand
from credits.worker import Job
from gifts import expiry


class Command(LimitedJobCommand):
    """Expires what is due; any number of these may run at once."""

    help = (
        "Gives the credits of gifts whose time is over back to their creators, each in its own "
        "transaction. Safe to stop, to run again, and to run many times at once. Also forgets old "
        "counts of wrong codes. Exits with 1 if a gift failed, with 75 if one was skipped because "
        "somebody else has locked it or its creator's balance."
    )
    job = expiry.JOB

    def handle(self, **options: Any) -> None:
        """Expire and count."""
        limit: int = options["limit"]
        self.run_job(Job(self.job, lambda now: expiry.expire_due(now=now, limit=limit)))
