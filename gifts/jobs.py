"""The worker's jobs of this app."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from credits.worker import Job
from gifts import campaigns, expiry

GIFTS_PER_RUN = 5_000
CAMPAIGNS_PER_RUN = 20


def expire_gifts(now: datetime) -> Iterator[str]:
    """Expire due gifts, which returns their credits to the creators."""
    return expiry.expire_due(now=now, limit=GIFTS_PER_RUN)


def make_gift_codes(now: datetime) -> Iterator[str]:
    """Create the missing codes of campaigns."""
    return campaigns.make_missing(now=now, limit=CAMPAIGNS_PER_RUN)


JOBS = (
    Job(expiry.JOB, expire_gifts, every=timedelta(seconds=30), next_due=expiry.next_due),
    Job(
        campaigns.MAKE_JOB,
        make_gift_codes,
        every=timedelta(seconds=10),
        next_due=campaigns.next_due,
    ),
)
