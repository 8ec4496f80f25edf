"""The worker's jobs of this app."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import repeat

from django.conf import settings
from django.db.models import Min

from credits.worker import Job
from webhooks import events
from webhooks.findings import DoesNotReconcile
from webhooks.models import StripeEvent
from webhooks.reconciliation import Check

RECONCILED_SPAN = timedelta(days=3)
EVENTS_PER_RUN = 5_000


def process_stripe_events(now: datetime) -> Iterator[str]:
    """Apply the stored events that are not processed yet."""
    for settled in events.process_due(now=now, limit=EVENTS_PER_RUN):
        yield settled.outcome


def reconcile_stripe(now: datetime) -> Iterator[str]:
    """Reconcile the last three days with Stripe. Raises DoesNotReconcile."""
    unexplained = 0
    for finding in Check(since=now - RECONCILED_SPAN, now=now).run():
        unexplained += bool(finding.unexplained)
        yield finding.outcome
    if unexplained:
        raise DoesNotReconcile(f"{unexplained} differences are unexplained")


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
    Job(events.PROCESS_JOB, process_stripe_events, next_due=oldest_unprocessed),
    Job("reconcile_stripe", reconcile_stripe, at_hour=2),
    Job("empty_event_payloads", empty_event_payloads, at_hour=5),
)
