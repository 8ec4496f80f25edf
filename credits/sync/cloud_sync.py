"""Cloud Sync: activate, deactivate, change interval, give and revoke. `renewals` renews and pauses.

A period is charged once. The cause of the charge is `sync:USER:START`, which is unique in the
ledger, and the charge commits with the subscription's new period. Every function locks the
subscription's row first and the balance last.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple, cast
from uuid import UUID

from django.db import transaction

from credits import ledger
from credits.catalogue import catalogue
from credits.errors import DomainError
from credits.ledger import Memo, Origin, Priced, idempotency
from credits.models import SyncSubscription, Transaction
from credits.sync import billing_periods

OPERATION = "cloud_sync"
APP_ID = "sync"


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

    `language` is that of notices: `de`, `en`, or empty if it is unknown. A replay of the
    idempotency key returns the first result. Raises SyncActive, SyncGifted,
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
    subscription.language = language
    charged = Decimal(0)
    if subscription.paid_until and subscription.paid_until > now:
        # Nothing is charged, so no movement records the key.
        idempotency.record(user_id, origin)
    else:
        # Stored apart from `paid_until`, which loses the day in a shorter month.
        subscription.anchor_day = now.day
        charged = -charge(subscription, now, origin).amount
    subscription.renews = True
    subscription.paused_at = None
    save(subscription, now)
    return Activation(interval, end_of(subscription), charged)


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
    save(subscription, now)
    return subscription


@transaction.atomic
def change_interval(user_id: str, *, interval: str, now: datetime) -> IntervalChange:
    """Change the interval from the next period on. Raises SyncInactive, SyncGifted."""
    subscription = _locked(user_id)
    if subscription is None or not subscription.active:
        raise SyncInactive
    if subscription.gifted:
        raise SyncGifted
    # Only shown: the next charge takes the price of its own day.
    cost = catalogue.price(OPERATION, billing_periods.months(interval))
    subscription.interval = interval
    save(subscription, now)
    return IntervalChange(interval, cost, end_of(subscription))


@transaction.atomic
def give(user_id: str, *, by: str, now: datetime) -> SyncSubscription:
    """Make sync a gift of the operator `by`. A paid period stays as it is."""
    subscription = _made(user_id, now)
    if not subscription.gifted:
        subscription.gifted_at = now
        subscription.gifted_by = by
        subscription.paused_at = None
        save(subscription, now)
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
    subscription.renews = subscription.renews and end_of(subscription) > now
    save(subscription, now)
    return subscription


def save(subscription: SyncSubscription, now: datetime) -> None:
    """Store a locked subscription."""
    subscription.updated_at = now
    subscription.save(force_update=True)


def charge(subscription: SyncSubscription, start: datetime, origin: Origin) -> Transaction:
    """Charge the period from `start` once and set it as the paid one; the caller saves the row."""
    interval = subscription.interval
    until = billing_periods.end(start, interval, anchor_day=anchor_of(subscription))
    entry = ledger.spend(
        subscription.user_id,
        # The catalogue has the price of one month.
        Priced(OPERATION, billing_periods.months(interval)),
        memo=Memo(
            APP_ID,
            f"Cloud Sync ({interval})",
            {
                "type": "sync_renewal" if origin.actor == "system" else "sync_subscription",
                **period(interval, start, until),
            },
        ),
        origin=origin,
        cause=f"sync:{subscription.user_id}:{start.isoformat()}",
    ).transaction
    subscription.paid_from, subscription.paid_until = start, until
    subscription.charge = entry
    return entry


def period(interval: str, start: datetime, until: datetime) -> dict[str, str]:
    """Return a paid period as its charge records it."""
    return {"interval": interval, "from": _written(start), "until": _written(until)}


def _written(moment: datetime) -> str:
    """Return the time in JavaScript's format: `2026-11-22T22:25:48.962Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def end_of(subscription: SyncSubscription) -> datetime:
    """Return the end of the paid period of a subscription that was charged."""
    return cast("datetime", subscription.paid_until)


def anchor_of(subscription: SyncSubscription) -> int:
    """Return the day of the month on which its periods begin."""
    return cast("int", subscription.anchor_day)


def _made(user_id: str, now: datetime) -> SyncSubscription:
    # Locked first: ON CONFLICT DO NOTHING would keep a row that an erasure is about to delete.
    if known := _locked(user_id):
        return known
    new = SyncSubscription(user_id=user_id, created_at=now, updated_at=now)
    SyncSubscription.objects.bulk_create([new], ignore_conflicts=True)
    return SyncSubscription.objects.select_for_update().get(pk=user_id)


def _locked(user_id: str) -> SyncSubscription | None:
    return SyncSubscription.objects.select_for_update().filter(pk=user_id).first()


def _replayed(subscription: SyncSubscription, known: UUID) -> Activation:
    entry = Transaction.objects.filter(pk=known).first()
    if entry is None:  # the activation was free: it fell into a paid period
        return Activation(subscription.interval, end_of(subscription), Decimal(0))
    said = cast("dict[str, str]", entry.metadata)
    return Activation(said["interval"], datetime.fromisoformat(said["until"]), -entry.amount)
