"""`manage.py expire_reservations`: free the credits of reservations whose time is over."""

from typing import Any

from credits.ledger import reservations
from credits.management.job_command import LimitedJobCommand
from credits.worker import Job


class Command(LimitedJobCommand):
    """Expires what is due; any number of these may run at once."""

    help = (
        "Expires open reservations whose time is over, each in its own transaction. Safe to stop, "
        "to run again, and to run many times at once. Exits with 1 if one failed, with 75 if one "
        "was skipped because somebody else has locked it or its balance."
    )
    job = reservations.EXPIRE_JOB

    def handle(self, **options: Any) -> None:
        """Expire and count."""
        limit: int = options["limit"]
        self.run_job(Job(self.job, lambda now: reservations.expire_due(now=now, limit=limit)))
