"""The worker's jobs of this app."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import repeat

from django.conf import settings
from django.db.models import Min

from credits.worker import Job
from webhooks import events
from webhooks.models import StripeEvent

EVENTS_PER_RUN = 5_000


def process_stripe_events(*, now: datetime, limit: int) -> Iterator[str]:
    """Apply the stored events that are not processed yet."""
    for settled in events.process_due(now=now, limit=limit):
        yield settled.outcome


def empty_event_payloads(now: datetime) -> Iterator[str]:
    """Empty payloads older than STRIPE_PAYLOADS_KEPT_DAYS; with 0, keep all of them."""
    if kept := timedelta(days=settings.STRIPE_PAYLOADS_KEPT_DAYS):
        for count in events.empty_payloads(received_before=now - kept):
            yield from repeat("emptied", count)


def oldest_unprocessed(now: datetime) -> datetime | None:
    """Return when the oldest unprocessed event was received, or None without one."""
    waiting = StripeEvent.objects.filter(processed_at__isnull=True)
    oldest: datetime | None = waiting.aggregate(oldest=Min("received_at"))["oldest"]
    return oldest


JOBS = (
    Job(
        events.PROCESS_JOB,
        process_stripe_events,
        limit=EVENTS_PER_RUN,
        next_due=oldest_unprocessed,
        calls_out=True,
    ),
    Job("empty_event_payloads", empty_event_payloads, at_hour=5),
)
