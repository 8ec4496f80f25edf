"""Renewals of Cloud Sync: charge the due subscriptions, or pause them."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

from django.db.models import QuerySet

from credits import due_rows
from credits.due_rows import DueWork
from credits.ledger import InsufficientCredits, Origin, SpendingLimitReached
from credits.models import SyncSubscription
from credits.outbox import outbox
from credits.sync import billing_periods, cloud_sync, notification_texts

RENEW_JOB = "renew_subscriptions"


def renew_due(*, now: datetime, limit: int) -> Iterator[str]:
    """Renew up to `limit` due subscriptions; yield `charged`, `paused`, `skipped` or `failed`.

    Each one is charged for the current period, or paused if the credits or the user's spending
    limit do not suffice, in its own transaction. `due_rows.settle_each` explains `skipped` and
    `failed`. Any number of processes may run this at the same time.
    """
    work = DueWork(RENEW_JOB, _due(now), "paid_until", partial(_renew, now=now))
    return (settled.outcome for settled in due_rows.settle_each(work, now=now, limit=limit))


def next_due(now: datetime) -> datetime | None:
    """Return when the first subscription is or was due, or None if none renews.

    Failed subscriptions that are not yet due for a retry do not count.
    """
    return due_rows.next_due(RENEW_JOB, _renewing(), "paid_until", now=now)


def _renewing() -> QuerySet[SyncSubscription]:
    return SyncSubscription.objects.filter(renews=True, gifted_at=None)


def _due(now: datetime) -> QuerySet[SyncSubscription]:
    return _renewing().filter(paid_until__lte=now)


def _renew(subscription: SyncSubscription, *, now: datetime) -> str:
    # The current period, not all missed ones: nobody is charged for the time while the worker was
    # down.
    start = billing_periods.current_start(
        cloud_sync.end_of(subscription),
        subscription.interval,
        anchor_day=cloud_sync.anchor_of(subscription),
        now=now,
    )
    try:
        cloud_sync.charge(subscription, start, Origin("system", at=now))
    except (InsufficientCredits, SpendingLimitReached) as lack:
        # The database returned this outcome without an error, so the transaction can go on.
        _pause(subscription, lack, now)
        return "paused"
    cloud_sync.save(subscription, now)
    return "charged"


def _pause(
    subscription: SyncSubscription,
    lack: InsufficientCredits | SpendingLimitReached,
    now: datetime,
) -> None:
    # Paused, not retried: a later charge, when credits arrive, would be unexpected.
    subscription.renews = False
    subscription.paused_at = now
    cloud_sync.save(subscription, now)
    outbox.mail(
        subscription.user_id,
        _paused_text(subscription, lack),
        # The end of the paid period is part of the key: each pause is announced once.
        key=f"sync_paused:{subscription.user_id}:{cloud_sync.end_of(subscription).isoformat()}",
        now=now,
    )


def _paused_text(
    subscription: SyncSubscription, lack: InsufficientCredits | SpendingLimitReached
) -> dict[str, Any]:
    if isinstance(lack, SpendingLimitReached):
        return notification_texts.sync_stopped_by_limit(subscription, limit=lack.limit)
    return notification_texts.sync_paused(subscription, required=lack.required)
