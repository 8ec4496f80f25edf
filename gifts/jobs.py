"""The worker's jobs of this app."""

from datetime import timedelta

from credits.worker import Job
from gifts import campaigns, expiry

GIFTS_PER_RUN = 5_000
CAMPAIGNS_PER_RUN = 20

JOBS = (
    Job(
        expiry.JOB,
        expiry.expire_due,
        limit=GIFTS_PER_RUN,
        every=timedelta(seconds=30),
        next_due=expiry.next_due,
    ),
    Job(
        campaigns.MAKE_JOB,
        campaigns.make_missing,
        limit=CAMPAIGNS_PER_RUN,
        every=timedelta(seconds=10),
        next_due=campaigns.next_due,
    ),
)
