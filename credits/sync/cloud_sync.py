"""Cloud Sync: activate, deactivate, change interval, give and revoke, renew, pause.

A period is charged once. The cause of the charge is `sync:USER:START`, which is unique in the
ledger, and the charge commits with the subscription's new period. Every function locks the
subscription's row first and the balance last.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple, cast
from uuid import UUID

from django.db import transaction
from django.db.models import Min, QuerySet

from credits import catalogue, due_rows
from credits.due_rows import DueWork
from credits.errors import DomainError
from credits.ledger import idempotency, ledger
from credits.ledger.posting import (
    InsufficientCredits,
    Memo,
    Origin,
    Priced,
    SpendingLimitReached,
)
from credits.models import SyncSubscription, Transaction
from credits.outbox import outbox
from credits.sync import billing_periods, notification_texts

OPERATION = "cloud_sync"
APP_ID = "sync"
RENEW_JOB = "renew_subscriptions"
LANGUAGES = frozenset({"de", "en"})


class SyncActive(DomainError):
    """Cloud Sync is already active."""

    code = "sync_active"
    message = "Cloud Sync is already active"


class SyncGifted(DomainError):
    """Cloud Sync is a gift, so the user cannot activate, change or deactivate it."""

    code = "sync_gifted"
    message = "Cloud Sync is a gift"


class SyncInactive(DomainError):
    """Cloud Sync is not active."""

    code = "sync_inactive"
    message = "Cloud Sync is not active"


class Activation(NamedTuple):
    """The result of an activation: the interval, the next charge and the credits charged now."""

    interval: str
    next_charge_at: datetime
    charged: Decimal


class IntervalChange(NamedTuple):
    """A new interval, the current cost of its periods in credits, and when the first one starts."""

    interval: str
    cost: Decimal
    effective_at: datetime


def status(user_id: str) -> SyncSubscription:
    """Return the user's subscription; an inactive, unsaved one if the user never had any."""
    found = SyncSubscription.objects.filter(pk=user_id).first()
    return found or SyncSubscription(user_id=user_id, interval="monthly", renews=False)


@transaction.atomic
def activate(
    user_id: str, *, interval: str, origin: Origin, now: datetime, language: str = ""
) -> Activation:
    """Activate sync and charge a period from `now`, or nothing if a paid period has not ended.

    A replay of the idempotency key returns the first result. Raises SyncActive, SyncGifted,
    InsufficientCredits, SpendingLimitReached and the errors of `ledger.spend`.
    """
    origin = origin.naming("sync.activate", interval)
    subscription = _made(user_id, now)
    # A replay is answered before the state is checked, because the first request changed the state.
    if known := idempotency.find(user_id, origin):
        return _replayed(subscription, known)
    if subscription.gifted:
        raise SyncGifted
    if subscription.renews:
        raise SyncActive
    subscription.interval = interval
    subscription.language = language if language in LANGUAGES else ""
    charged = Decimal(0)
    if subscription.paid_until and subscription.paid_until > now:
        # Nothing is charged, so no movement records the key.
        idempotency.record(user_id, origin)
    else:
        # Stored apart from `paid_until`, which loses the day in a shorter month.
        subscription.anchor_day = now.day
        charged = -_charge(subscription, now, origin).amount
    subscription.renews = True
    subscription.paused_at = None
    _save(subscription, now)
    return Activation(interval, _end(subscription), charged)


@transaction.atomic
def deactivate(user_id: str, *, now: datetime) -> SyncSubscription:
    """Deactivate sync and keep the paid period on record. Raises SyncGifted.

    Does nothing if sync is not active.
    """
    subscription = _locked(user_id)
    if subscription is None:
        return status(user_id)
    if subscription.gifted:
        raise SyncGifted
    subscription.renews = False
    subscription.paused_at = None
    _save(subscription, now)
    return subscription


@transaction.atomic
def change_interval(user_id: str, *, interval: str, now: datetime) -> IntervalChange:
    """Change the interval from the next period on. Raises SyncInactive, SyncGifted."""
    subscription = _locked(user_id)
    if subscription is None or not subscription.active:
        raise SyncInactive
    if subscription.gifted:
        raise SyncGifted
    cost = catalogue.price(OPERATION, billing_periods.months(interval))
    subscription.interval = interval
    _save(subscription, now)
    return IntervalChange(interval, cost, _end(subscription))


@transaction.atomic
def give(user_id: str, *, by: str, now: datetime) -> SyncSubscription:
    """Make sync a gift of the operator `by`. A paid period stays as it is."""
    subscription = _made(user_id, now)
    if not subscription.gifted:
        subscription.gifted_at = now
        subscription.gifted_by = by
        subscription.paused_at = None
        _save(subscription, now)
    return subscription


@transaction.atomic
def revoke(user_id: str, *, now: datetime) -> SyncSubscription:
    """Revoke a gift: return to the paid period if it has not ended, else deactivate sync.

    Does nothing if sync is not a gift.
    """
    subscription = _locked(user_id)
    if subscription is None or not subscription.gifted:
        return subscription or status(user_id)
    subscription.gifted_at = None
    subscription.gifted_by = None
    # If the paid period ended during the gift, sync ends too: a charge now would be unexpected.
    subscription.renews = subscription.renews and _end(subscription) > now
    _save(subscription, now)
    return subscription


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
    waiting = _renewing().exclude(pk__in=due_rows.postponed_keys(RENEW_JOB, now=now))
    due: datetime | None = waiting.aggregate(due=Min("paid_until"))["due"]
    return due


def _renewing() -> QuerySet[SyncSubscription]:
    return SyncSubscription.objects.filter(renews=True, gifted_at=None)


def _due(now: datetime) -> QuerySet[SyncSubscription]:
    return _renewing().filter(paid_until__lte=now)


def _renew(subscription: SyncSubscription, *, now: datetime) -> str:
    start = billing_periods.current_start(
        _end(subscription), subscription.interval, anchor_day=_anchor(subscription), now=now
    )
    try:
        _charge(subscription, start, Origin("system", at=now))
    except (InsufficientCredits, SpendingLimitReached) as lack:
        # The database returned this outcome without an error, so the transaction can go on.
        _pause(subscription, lack, now)
        return "paused"
    _save(subscription, now)
    return "charged"


def _made(user_id: str, now: datetime) -> SyncSubscription:
    new = SyncSubscription(user_id=user_id, created_at=now, updated_at=now)
    # ON CONFLICT DO NOTHING does not lock an existing row, hence the second statement.
    SyncSubscription.objects.bulk_create([new], ignore_conflicts=True)
    return SyncSubscription.objects.select_for_update().get(pk=user_id)


def _locked(user_id: str) -> SyncSubscription | None:
    return SyncSubscription.objects.select_for_update().filter(pk=user_id).first()


def _save(subscription: SyncSubscription, now: datetime) -> None:
    subscription.updated_at = now
    subscription.save(force_update=True)


def _charge(subscription: SyncSubscription, start: datetime, origin: Origin) -> Transaction:
    """Charge the period from `start` once and set it as the paid one; the caller saves the row."""
    interval = subscription.interval
    until = billing_periods.end(start, interval, anchor_day=_anchor(subscription))
    entry = ledger.spend(
        subscription.user_id,
        Priced(OPERATION, billing_periods.months(interval)),
        memo=Memo(
            APP_ID,
            f"Cloud Sync ({interval})",
            {
                "type": "sync_renewal" if origin.actor == "system" else "sync_subscription",
                "interval": interval,
                "from": _written(start),
                "until": _written(until),
            },
        ),
        origin=origin,
        cause=f"sync:{subscription.user_id}:{start.isoformat()}",
    ).transaction
    subscription.paid_from, subscription.paid_until = start, until
    subscription.charge = entry
    return entry


def _written(moment: datetime) -> str:
    """Return the time in JavaScript's format: `2026-11-22T22:25:48.962Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _pause(
    subscription: SyncSubscription,
    lack: InsufficientCredits | SpendingLimitReached,
    now: datetime,
) -> None:
    subscription.renews = False
    subscription.paused_at = now
    _save(subscription, now)
    outbox.tell(
        subscription.user_id,
        _paused_text(subscription, lack),
        key=f"sync_paused:{subscription.user_id}:{_end(subscription).isoformat()}",
        now=now,
    )


def _paused_text(
    subscription: SyncSubscription, lack: InsufficientCredits | SpendingLimitReached
) -> dict[str, Any]:
    if isinstance(lack, SpendingLimitReached):
        return notification_texts.sync_stopped_by_limit(subscription, limit=lack.limit)
    return notification_texts.sync_paused(subscription, required=lack.required)


def _end(subscription: SyncSubscription) -> datetime:
    return cast("datetime", subscription.paid_until)


def _anchor(subscription: SyncSubscription) -> int:
    return cast("int", subscription.anchor_day)


def _replayed(subscription: SyncSubscription, known: UUID) -> Activation:
    entry = Transaction.objects.filter(pk=known).first()
    if entry is None:  # the activation was free: it fell into a paid period
        return Activation(subscription.interval, _end(subscription), Decimal(0))
    said = cast("dict[str, str]", entry.metadata)
    return Activation(said["interval"], datetime.fromisoformat(said["until"]), -entry.amount)
