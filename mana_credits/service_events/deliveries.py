"""Deliveries of messages: at least once, in order per user, retried for three days, then parked.

A message waits while an earlier one to the same subscriber about the same user is pending. Each
attempt is claimed in its own transaction before the receiver is called. Therefore no row is locked
during the call, and a process that dies loses only one attempt.
"""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Exists, F, Min, OuterRef, Q, QuerySet

from credits import due_rows
from mana_credits.service_events import receivers, secrets
from mana_credits.service_events.models import EventMessage, EventSubscription
from mana_credits.service_events.receivers import ReceiverRefused, ReceiverUnavailable
from mana_credits.service_events.secrets import SecretUnreadable

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=6)
RETRIED_FOR = timedelta(days=3)
# While a receiver cannot be reached, each of these pauses is followed by one attempt.
LONGEST_PAUSE_OF_RECEIVER = timedelta(minutes=15)
# Longer than a run and its last call: until then no other process may claim the message.
CLAIMED_FOR = timedelta(minutes=2)
# Limits of a run, and of one slow receiver's part of it.
SECONDS_PER_RECEIVER = 5
SECONDS_FOR_SLOW = 5  # all slow ones together
SLOW_SECONDS = 1  # a receiver whose last answer took longer is slow
SECONDS_PER_RUN = 30
KEPT = timedelta(days=30)
PARKED = "parked"

Status = EventMessage.Status
logger = structlog.get_logger(__name__)
_slow_receivers: set[UUID] = set()  # ids of subscriptions; each process measures for itself


def deliver_due(now: datetime) -> Iterator[str]:
    """Deliver the due messages; yield `delivered`, `refused`, `unavailable` or `parked` for each.

    Any number of processes may run this at the same time. A refused message is retried alone, while
    those about other users are delivered. A receiver that cannot be reached gets a pause. The slow
    receivers come last, so that they do not delay the others.
    """
    # In random order: no receiver is always the last one of a run that ends before.
    waiting = list(_open(now).order_by("?"))
    slow = [one for one in waiting if one.failures or one.pk in _slow_receivers]
    ends = time.monotonic() + SECONDS_PER_RUN
    for subscription in waiting:
        if subscription not in slow:
            yield from _deliver(subscription, now, ends)
    ends = min(ends, time.monotonic() + SECONDS_FOR_SLOW)
    for subscription in slow:
        yield from _deliver(subscription, now, ends)


def next_due(now: datetime) -> datetime | None:
    """Return when the first message is or was due, or None if none waits.

    Messages to paused subscriptions, and to receivers that have a pause, do not count.
    """
    due: datetime | None = (
        _heads().filter(subscription__in=_open(now)).aggregate(due=Min("due_at"))["due"]
    )
    return due


def clean_up(*, now: datetime) -> Iterator[int]:
    """Delete old delivered messages and those of ended subscriptions in batches.

    Yields each batch's count.
    """
    old = Q(status=Status.DELIVERED, delivered_at__lt=now - KEPT)
    ended = EventSubscription.objects.filter(ended_at__isnull=False)
    for rows in (
        EventMessage.objects.filter(old),
        EventMessage.objects.filter(subscription__in=list(ended)),
    ):
        yield from due_rows.change_free(rows, lambda some: some.delete()[0])


def body_of(message: EventMessage) -> bytes:
    """Return the body of a message as JSON. `sequence` increases with a user's messages."""
    moment = message.created_at.astimezone(UTC).isoformat(timespec="milliseconds")
    content: dict[str, Any] = {
        "type": message.event,
        "timestamp": moment.replace("+00:00", "Z"),
        "sequence": message.number,
        "data": {"userId": message.user_id, **message.data},
    }
    return json.dumps(content, separators=(",", ":")).encode()


def _deliver(subscription: EventSubscription, now: datetime, ends: float) -> Iterator[str]:
    """Deliver the subscription's due messages for a limited time, and note whether it is slow."""
    ends = min(ends, time.monotonic() + SECONDS_PER_RECEIVER)
    while (began := time.monotonic()) < ends and (message := _claim(subscription.pk, now)):
        outcome = _attempt(subscription, message, now)
        if time.monotonic() - began > SLOW_SECONDS:
            _slow_receivers.add(subscription.pk)
        else:
            _slow_receivers.discard(subscription.pk)
        yield outcome
        if subscription.retry_at:
            return


def _open(now: datetime) -> QuerySet[EventSubscription]:
    # A retry later than the longest pause was written with a wrong clock. Ignore it.
    too_late = now + 2 * LONGEST_PAUSE_OF_RECEIVER
    retried = Q(retry_at__isnull=True) | Q(retry_at__lte=now) | Q(retry_at__gt=too_late)
    return EventSubscription.objects.filter(retried, paused_at=None, ended_at=None)


def _heads() -> QuerySet[EventMessage]:
    """Return the first pending message of each user and subscription."""
    earlier = EventMessage.objects.filter(
        subscription=OuterRef("subscription"),
        user_id=OuterRef("user_id"),
        number__lt=OuterRef("number"),
        status=Status.PENDING,
    )
    return EventMessage.objects.filter(~Exists(earlier), status=Status.PENDING)


@transaction.atomic
def _claim(subscription_id: UUID, now: datetime) -> EventMessage | None:
    # A time later than any pause was written with a wrong clock. Ignore it.
    due = Q(due_at__lte=now) | Q(due_at__gt=now + 2 * LONGEST_PAUSE)
    waiting = _heads().filter(due, subscription=subscription_id).order_by("due_at", "number")
    message = waiting.select_for_update(skip_locked=True).first()
    if message:
        message.attempts += 1
        message.first_attempt_at = message.first_attempt_at or now
        message.due_at = now + CLAIMED_FOR
        message.save(update_fields=["attempts", "first_attempt_at", "due_at"])
    return message


def _attempt(subscription: EventSubscription, message: EventMessage, now: datetime) -> str:
    """Call the receiver, record the result and return the word for it."""
    try:
        _send(subscription, message, now)
    except ReceiverUnavailable as error:
        _give_pause(subscription, now)
        return _failed(message, error, "unavailable", now)
    except (ReceiverRefused, SecretUnreadable) as error:
        _reachable(subscription)
        return _failed(message, error, "refused", now)
    except Exception as error:  # a defect of one message must not stop the others
        logger.exception("event_not_sent", message=str(message.pk))
        return _failed(message, error, "refused", now)
    _reachable(subscription)
    # Counts even if another process has claimed the message since: the receiver has it.
    _pending(message).update(status=Status.DELIVERED, delivered_at=now, last_error="")
    return Status.DELIVERED.value


def _send(subscription: EventSubscription, message: EventMessage, now: datetime) -> None:
    stored = [subscription.secret]
    if subscription.prior_secret and (subscription.prior_secret_until or now) > now:
        stored.append(subscription.prior_secret)
    body = body_of(message)
    headers = secrets.headers(
        f"msg_{message.pk.hex}",
        body,
        secrets=[secrets.decrypted(one) for one in stored],
        # Not `now`, the start of the run: receivers compare this time with their clock.
        at=datetime.now(UTC),
    )
    receivers.post(subscription.url, body, {"Content-Type": "application/json", **headers})


def _failed(message: EventMessage, error: Exception, word: str, now: datetime) -> str:
    """Record a failure: the user's messages wait, or this one is parked after three days."""
    parked = now - (message.first_attempt_at or now) >= RETRIED_FOR
    due = now + min(FIRST_PAUSE * 2 ** min(message.attempts - 1, 20), LONGEST_PAUSE)
    # If another process has claimed the message since, only its attempt counts.
    _pending(message).filter(attempts=message.attempts).update(
        status=Status.PARKED if parked else Status.PENDING, due_at=due, last_error=str(error)[:500]
    )
    if not parked:
        # The user's later messages wait as long, so that claims do not read them repeatedly.
        EventMessage.objects.filter(
            subscription=message.subscription_id,
            user_id=message.user_id,
            number__gt=message.number,
            status=Status.PENDING,
            due_at__lt=due,
        ).update(due_at=due)
    logger.warning(
        "event_not_delivered", message=str(message.pk), attempts=message.attempts, parked=parked
    )
    return PARKED if parked else word


def _pending(message: EventMessage) -> QuerySet[EventMessage]:
    return EventMessage.objects.filter(pk=message.pk, status=Status.PENDING)


def _give_pause(subscription: EventSubscription, now: datetime) -> None:
    pause = min(FIRST_PAUSE * 2 ** min(subscription.failures, 10), LONGEST_PAUSE_OF_RECEIVER)
    subscription.retry_at = now + pause
    EventSubscription.objects.filter(pk=subscription.pk).update(
        failures=F("failures") + 1, retry_at=subscription.retry_at
    )


def _reachable(subscription: EventSubscription) -> None:
    if subscription.failures:
        subscription.failures, subscription.retry_at = 0, None
        EventSubscription.objects.filter(pk=subscription.pk).update(failures=0, retry_at=None)
