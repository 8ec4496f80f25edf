"""The worker's jobs of this app."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import repeat

from credits.worker import Job
from mana_credits.service_events import deliveries


def clean_up_events(now: datetime) -> Iterator[str]:
    """Delete old delivered messages, and those of ended subscriptions."""
    for count in deliveries.clean_up(now=now):
        yield from repeat("deleted", count)


JOBS = (
    Job(
        "deliver_events",
        deliveries.deliver_due,
        every=timedelta(seconds=5),
        next_due=deliveries.next_due,
        calls_out=True,
    ),
    Job("clean_up_events", clean_up_events, at_hour=4),
)
