"""Subscriptions of services to events: create, rotate, pause, resume, end, replay messages."""

import re
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from credits.errors import DomainError
from mana_credits.service_events import addresses, event_types, secrets
from mana_credits.service_events.models import (
    NAME_LENGTH,
    URL_LENGTH,
    EventMessage,
    EventSubscription,
)

_NAME = re.compile(rf"[A-Za-z0-9._-]{{1,{NAME_LENGTH}}}")
Status = EventMessage.Status


class SubscriptionUnknown(DomainError):
    """No subscription with this id exists, or it has ended."""

    code = "event_subscription_not_found"
    status = 404
    message = "There is no event subscription with this id, or it has ended"


class InvalidSubscription(DomainError):
    """The service's name, the URL or an event of a new subscription is invalid."""

    code = "invalid_event_subscription"
    message = "The event subscription is invalid"


class MessageNotReplayable(DomainError):
    """The message does not exist, still waits for its delivery, or its subscription has ended."""

    code = "event_message_not_replayable"
    status = 409
    message = "Only a delivered or parked message of a subscription can be sent again"


def create(
    service: str, url: str, events: Collection[str], *, by: str, now: datetime
) -> tuple[EventSubscription, str]:
    """Create a subscription and return it with its secret. Raises InvalidSubscription."""
    _check(service, url, events)
    secret = secrets.new_secret()
    made = EventSubscription.objects.create(
        service=service,
        url=url,
        # In one order and each once, so that equal subscriptions look equal.
        events=[event for event in event_types.ALL if event in events],
        secret=secrets.encrypted(secret),
        created_at=now,
        created_by=by,
    )
    return made, secret


@transaction.atomic
def rotate(
    subscription_id: UUID, *, overlap: timedelta, now: datetime
) -> tuple[EventSubscription, str]:
    """Replace the secret and return the subscription with the new one.

    For `overlap`, messages have a second signature by the old secret. A secret that is older
    stops signing at once. Raises SubscriptionUnknown.
    """
    found = _locked(subscription_id)
    secret = secrets.new_secret()
    found.prior_secret = found.secret if overlap else None
    found.prior_secret_until = now + overlap if overlap else None
    found.secret = secrets.encrypted(secret)
    found.save(update_fields=["secret", "prior_secret", "prior_secret_until"])
    return found, secret


@transaction.atomic
def pause(subscription_id: UUID, *, now: datetime) -> EventSubscription:
    """Stop deliveries; messages are still collected. Raises SubscriptionUnknown."""
    found = _locked(subscription_id)
    # The time of the first pause stays, because a repeated request pauses nothing.
    found.paused_at = found.paused_at or now
    found.save(update_fields=["paused_at"])
    return found


@transaction.atomic
def resume(subscription_id: UUID) -> EventSubscription:
    """Deliver the collected messages at once. Raises SubscriptionUnknown."""
    found = _locked(subscription_id)
    found.paused_at = found.retry_at = None
    # The pause after failed attempts ends too, so that deliveries continue at once.
    found.failures = 0
    found.save(update_fields=["paused_at", "retry_at", "failures"])
    return found


@transaction.atomic
def end(subscription_id: UUID, *, now: datetime) -> EventSubscription:
    """End a subscription. The nightly clean-up deletes its messages. Raises SubscriptionUnknown."""
    found = _locked(subscription_id)
    found.ended_at = now
    found.save(update_fields=["ended_at"])
    return found


def replay(message_id: UUID, *, now: datetime) -> EventMessage:
    """Send a delivered or parked message again, with its id. Raises MessageNotReplayable."""
    found = EventMessage.objects.filter(pk=message_id)
    if not _replay(found.exclude(status=Status.PENDING), now):
        raise MessageNotReplayable
    return found.get()


def replay_parked(subscription_id: UUID, *, now: datetime) -> int:
    """Send all parked messages of a subscription again and return their number."""
    parked = EventMessage.objects.filter(subscription=subscription_id, status=Status.PARKED)
    return _replay(parked, now)


def _replay(messages: QuerySet[EventMessage], now: datetime) -> int:
    return messages.filter(subscription__ended_at__isnull=True).update(
        # As a new message: the attempts and the first time decide when it is parked.
        status=Status.PENDING,
        attempts=0,
        first_attempt_at=None,
        delivered_at=None,
        due_at=now,
    )


def _locked(subscription_id: UUID) -> EventSubscription:
    current = EventSubscription.objects.filter(pk=subscription_id, ended_at__isnull=True)
    found = current.select_for_update().first()
    if found is None:
        raise SubscriptionUnknown
    return found


def _check(service: str, url: str, events: Collection[str]) -> None:
    unknown = sorted(set(events) - set(event_types.ALL))
    if settings.DATABASE_SHARDED:
        text = "There are no events on a Citus cluster (docs/scaling.md)"
    elif not _NAME.fullmatch(service):
        text = f"The service must have 1 to {NAME_LENGTH} characters: letters, digits and . _ -"
    elif len(url) > URL_LENGTH:
        text = f"The URL must have at most {URL_LENGTH} characters"
    elif unknown:
        text = f"Unknown events: {', '.join(unknown)}. Known events: {', '.join(event_types.ALL)}"
    elif not events:
        text = "A subscription needs at least one event"
    else:
        text = _fault(url)
    if text:
        raise InvalidSubscription(text)


def _fault(url: str) -> str:
    try:
        addresses.accept(url)
    except addresses.AddressForbidden as error:
        return str(error)
    return ""
