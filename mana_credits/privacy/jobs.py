"""The worker's jobs for personal data."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from credits.worker import Job
from mana_credits.privacy import erasure_requests


def erase_people(now: datetime) -> Iterator[str]:
    """Erase people whose history was too long for the request."""
    return erasure_requests.complete_due()


JOBS = (
    Job(
        "erase_people",
        erase_people,
        every=timedelta(seconds=10),
        next_due=erasure_requests.next_due,
    ),
)
