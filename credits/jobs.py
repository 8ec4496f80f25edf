"""The worker's jobs of this app."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice, repeat

import structlog
from django.conf import settings

from credits.amounts import counted
from credits.controls import expiry_notices, low_balance
from credits.due_rows import SKIPPED
from credits.ledger import (
    anchors,
    campaign_grants,
    credit_expiry,
    key_retention,
    ledger_checks,
    reservation_expiry,
)
from credits.ledger.books import BooksDoNotClose
from credits.outbox import outbox
from credits.payments import reconciliation, top_up_charges
from credits.payments.reconciliation import Reconciliation
from credits.reporting import daily_totals
from credits.sync import renewals
from credits.worker import Job

ROWS_PER_RUN = 5_000
# Stripe retries an event for three days. Unfinished objects that are older are fetched one by one.
RECONCILED_SPAN = timedelta(days=3)

logger = structlog.get_logger(__name__)


def post_grant_campaigns(now: datetime) -> Iterator[str]:
    """Post the approved campaigns of grants."""
    return islice(campaign_grants.post_running(now=now), ROWS_PER_RUN)


def make_anchors(now: datetime) -> Iterator[str]:
    """Write the anchors of the days that are over. Their digests go into the log, too."""
    for anchor in anchors.make_due(now=now):
        # A copy in the log is out of reach of somebody who can change the tables.
        logger.info(
            "anchor",
            day=anchor.day.isoformat(),
            count=anchor.count,
            sum=f"{anchor.sum:f}",
            digest=anchor.hex,
        )
        yield "made"


def check_ledger(now: datetime) -> Iterator[str]:
    """Check the changed balances, and once a week all of them. Raises BooksDoNotClose."""
    discrepancies = 0
    for batch in ledger_checks.check(ledger_checks.due(now=now)):
        for one in batch.discrepancies:
            logger.error("discrepancy", user=one.user_id, rule=one.rule, sentence=one.sentence)
            yield "discrepancies"
        discrepancies += len(batch.discrepancies)
        yield "batches"
    if discrepancies:
        raise BooksDoNotClose(counted(discrepancies, "discrepancy", "discrepancies"))


def clean_up_outbox(now: datetime) -> Iterator[str]:
    """Delete old delivered outbox messages."""
    for count in outbox.clean_up(now=now):
        yield from repeat("deleted", count)


def clean_up_keys(now: datetime) -> Iterator[str]:
    """Delete keys older than IDEMPOTENCY_KEYS_KEPT_DAYS; with 0, keep all of them."""
    if kept := timedelta(days=settings.IDEMPOTENCY_KEYS_KEPT_DAYS):
        for count in key_retention.delete_older(now - kept):
            yield from repeat("deleted", count)


def sum_days(now: datetime) -> Iterator[str]:
    """Update the daily sums of today and yesterday for the back office."""
    for _, summed in daily_totals.sum_due(now=now):
        yield "summed" if summed else SKIPPED


def reconcile_stripe(now: datetime) -> Iterator[str]:
    """Reconcile the last three days with Stripe. Raises DoesNotReconcile."""
    return reconciliation.outcomes(Reconciliation(since=now - RECONCILED_SPAN, now=now).run())


JOBS = (
    Job(
        reservation_expiry.EXPIRE_JOB,
        reservation_expiry.expire_due,
        limit=ROWS_PER_RUN,
        every=timedelta(seconds=10),
        next_due=reservation_expiry.next_due,
    ),
    Job(
        credit_expiry.EXPIRE_JOB,
        credit_expiry.expire_due,
        limit=ROWS_PER_RUN,
        every=timedelta(seconds=30),
        next_due=credit_expiry.next_due,
    ),
    Job(
        renewals.RENEW_JOB,
        renewals.renew_due,
        limit=ROWS_PER_RUN,
        every=timedelta(seconds=30),
        next_due=renewals.next_due,
    ),
    Job(
        low_balance.TELL_JOB,
        low_balance.tell_due,
        limit=ROWS_PER_RUN,
        every=timedelta(seconds=10),
        next_due=low_balance.next_due,
    ),
    Job(
        expiry_notices.TELL_JOB,
        expiry_notices.tell_due,
        limit=ROWS_PER_RUN,
        every=timedelta(minutes=5),
        next_due=expiry_notices.next_due,
    ),
    Job(
        top_up_charges.TOP_UP_JOB,
        top_up_charges.top_up_due,
        limit=ROWS_PER_RUN,
        every=timedelta(seconds=10),
        next_due=top_up_charges.next_due,
        calls_out=True,
    ),
    Job(
        campaign_grants.POST_JOB,
        post_grant_campaigns,
        every=timedelta(seconds=10),
        next_due=campaign_grants.next_due,
    ),
    Job(
        "deliver_outbox",
        outbox.deliver_due,
        every=timedelta(seconds=10),
        next_due=outbox.next_due,
        calls_out=True,
    ),
    Job("reconcile_stripe", reconcile_stripe, at_hour=2, calls_out=True),
    Job("sum_days", sum_days, every=timedelta(minutes=5)),
    # Two hours after the day's end: a transaction that was begun before it is over by then.
    Job("make_anchors", make_anchors, at_hour=2),
    # After the anchors of the day, which it verifies too.
    Job("check_ledger", check_ledger, at_hour=3),
    Job("clean_up_outbox", clean_up_outbox, at_hour=4),
    Job("clean_up_keys", clean_up_keys, at_hour=4),
)
