"""`manage.py expire_reservations`: release the credits of expired reservations."""

from typing import Any

from credits.ledger import reservation_expiry
from credits.management.job_command import LimitedJobCommand
from credits.worker import Job


class Command(LimitedJobCommand):
    """Expires due reservations; several processes may run at the same time."""

    help = (
        "Expires open reservations past their expiry, each in its own transaction. Safe to stop, "
        "to run again, and to run several times at once. Exits with 1 if one failed, with 75 if "
        "one was skipped because another process has locked it or its balance."
    )
    job = reservation_expiry.EXPIRE_JOB

    def handle(self, **options: Any) -> None:
        """Expire due reservations and print their number."""
        limit: int = options["limit"]
        self.run_job(Job(self.job, lambda now: reservation_expiry.expire_due(now=now, limit=limit)))
