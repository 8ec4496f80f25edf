"""Cloud Sync: activate, deactivate, change interval, give and revoke, renew, pause.

A period is charged once: its entry's cause is `sync:USER:START`, unique in the ledger, and commits
with the subscription's new period. The subscription's row is locked first, the balance last.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, cast
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Min, Q

from credits import catalogue
from credits.errors import DomainError
from credits.ledger import ledger
from credits.ledger.posting import InsufficientCredits, Memo, Origin, Priced
from credits.models import SyncSubscription, Transaction
from credits.outbox import outbox
from credits.sync import billing_periods, notification_texts

OPERATION = "cloud_sync"
APP_ID = "sync"
LANGUAGES = frozenset({"de", "en"})

logger = structlog.get_logger(__name__)


class SyncActive(DomainError):
    """Cloud Sync is on already."""

    code = "sync_active"
    message = "Cloud Sync is already active"


class SyncGifted(DomainError):
    """Cloud Sync is a present: there is nothing to pay for, to change or to end."""

    code = "sync_gifted"
    message = "Cloud Sync is a gift"


class SyncInactive(DomainError):
    """Cloud Sync is off."""

    code = "sync_inactive"
    message = "Cloud Sync is not active"


class Activation(NamedTuple):
    """What an activation came to: what it charged, and when the next charge is due."""

    interval: str
    next_charge_at: datetime
    charged: Decimal


class IntervalChange(NamedTuple):
    """A new interval, what its periods cost now, and when the first one begins."""

    interval: str
    cost: Decimal
    effective_at: datetime


def status(user_id: str) -> SyncSubscription:
    """Return the user's subscription; one that is off for a user who never had any."""
    found = SyncSubscription.objects.filter(pk=user_id).first()
    return found or SyncSubscription(user_id=user_id, interval="monthly", renews=False)


@transaction.atomic
def activate(
    user_id: str, *, interval: str, origin: Origin, now: datetime, language: str = ""
) -> Activation:
    """Turn sync on: charge a period from `now`, or nothing while a paid one lasts.

    The same idempotency key answers as it did first. Raises SyncActive, SyncGifted,
    InsufficientCredits, and what any verb of the ledger may.
    """
    origin = origin.naming("sync.activate", interval)
    subscription = _made(user_id, now)
    if known := ledger.recall(user_id, origin):
        return _replayed(subscription, known)
    if subscription.gifted:
        raise SyncGifted
    if subscription.renews:
        raise SyncActive
    subscription.interval = interval
    subscription.language = language if language in LANGUAGES else ""
    charged = Decimal(0)
    if subscription.paid_until and subscription.paid_until > now:
        ledger.remember(user_id, origin)
    else:
        subscription.anchor_day = now.day
        charged = -_charge(subscription, now, origin).amount
    subscription.renews = True
    subscription.paused_at = None
    _save(subscription, now)
    return Activation(interval, _end(subscription), charged)


@transaction.atomic
def deactivate(user_id: str, *, now: datetime) -> SyncSubscription:
    """Turn sync off; what is paid for stays on record. Off already: nothing. Raises SyncGifted."""
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
    """Let the next period have another length. Raises SyncInactive, SyncGifted."""
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
    """Make sync a present of the operator `by`; a paid period is kept for later."""
    subscription = _made(user_id, now)
    if not subscription.gifted:
        subscription.gifted_at = now
        subscription.gifted_by = by
        subscription.paused_at = None
        _save(subscription, now)
    return subscription


@transaction.atomic
def revoke(user_id: str, *, now: datetime) -> SyncSubscription:
    """End a present: back to the paid period if one is left, else off. No present: nothing."""
    subscription = _locked(user_id)
    if subscription is None or not subscription.gifted:
        return subscription or status(user_id)
    subscription.gifted_at = None
    subscription.gifted_by = None
    subscription.renews = subscription.renews and _end(subscription) > now
    _save(subscription, now)
    return subscription


def renew_due(*, now: datetime, limit: int) -> Iterator[str]:
    """Renew up to `limit` subscriptions that are due; yield `charged`, `paused` or `error` each.

    Charges the current period, or pauses when the credits are missing, each in its own transaction.
    Any number of processes may do so at once: each takes rows that no other one holds. What is
    refused for another reason stays due and does not hold up the others.
    """
    seen: tuple[datetime, str] | None = None
    for _ in range(limit):
        with transaction.atomic():
            subscription = _next_due(now, seen)
            if subscription is None:
                return
            seen = _end(subscription), subscription.pk
            outcome = _renew(subscription, now)
        yield outcome


def next_due() -> datetime | None:
    """Return when the first subscription is or was due, None without any."""
    renewing = SyncSubscription.objects.filter(renews=True, gifted_at=None)
    due: datetime | None = renewing.aggregate(due=Min("paid_until"))["due"]
    return due


def _next_due(now: datetime, seen: tuple[datetime, str] | None) -> SyncSubscription | None:
    due = SyncSubscription.objects.filter(renews=True, gifted_at=None, paid_until__lte=now)
    if seen:
        moment, user_id = seen
        due = due.filter(Q(paid_until=moment, pk__gt=user_id) | Q(paid_until__gt=moment))
    return due.order_by("paid_until", "pk").select_for_update(skip_locked=True).first()


def _renew(subscription: SyncSubscription, now: datetime) -> str:
    start = billing_periods.current_start(
        _end(subscription), subscription.interval, anchor_day=_anchor(subscription), now=now
    )
    try:
        _charge(subscription, start, Origin("system", at=now))
    except InsufficientCredits as lack:
        _pause(subscription, lack, now)
        return "paused"
    except DomainError as error:
        logger.error("renewal_failed", user=subscription.pk, code=error.code)  # noqa: TRY400
        return "error"
    _save(subscription, now)
    return "charged"


def _made(user_id: str, now: datetime) -> SyncSubscription:
    new = SyncSubscription(user_id=user_id, created_at=now, updated_at=now)
    SyncSubscription.objects.bulk_create([new], ignore_conflicts=True)
    return SyncSubscription.objects.select_for_update().get(pk=user_id)


def _locked(user_id: str) -> SyncSubscription | None:
    return SyncSubscription.objects.select_for_update().filter(pk=user_id).first()


def _save(subscription: SyncSubscription, now: datetime) -> None:
    subscription.updated_at = now
    subscription.save(force_update=True)


def _charge(subscription: SyncSubscription, start: datetime, origin: Origin) -> Transaction:
    """Charge the period from `start`, once, and make it the paid one; the caller saves."""
    interval = subscription.interval
    until = billing_periods.end(start, interval, anchor_day=_anchor(subscription))
    entry = ledger.spend(
        subscription.user_id,
        Priced(OPERATION, billing_periods.months(interval)),
        memo=Memo(
            APP_ID,
            f"Cloud Sync ({interval})",
            {"interval": interval, "from": start.isoformat(), "until": until.isoformat()},
        ),
        origin=origin,
        cause=f"sync:{subscription.user_id}:{start.isoformat()}",
    ).transaction
    subscription.paid_from, subscription.paid_until = start, until
    subscription.charge = entry
    return entry


def _pause(subscription: SyncSubscription, lack: InsufficientCredits, now: datetime) -> None:
    subscription.renews = False
    subscription.paused_at = now
    _save(subscription, now)
    outbox.tell(
        subscription.user_id,
        notification_texts.sync_paused(subscription, required=lack.required),
        key=f"sync_paused:{subscription.user_id}:{_end(subscription).isoformat()}",
        now=now,
    )


def _end(subscription: SyncSubscription) -> datetime:
    return cast("datetime", subscription.paid_until)


def _anchor(subscription: SyncSubscription) -> int:
    return cast("int", subscription.anchor_day)


def _replayed(subscription: SyncSubscription, known: UUID) -> Activation:
    entry = Transaction.objects.filter(pk=known).first()
    if entry is None:  # it fell into a paid period
        return Activation(subscription.interval, _end(subscription), Decimal(0))
    said = cast("dict[str, str]", entry.metadata)
    return Activation(said["interval"], datetime.fromisoformat(said["until"]), -entry.amount)
