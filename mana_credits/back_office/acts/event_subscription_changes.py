"""Operators' acts on event subscriptions and their messages. Each is recorded."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from mana_credits.back_office.acts import audit
from mana_credits.back_office.acts.audit import Justification, Operator
from mana_credits.service_events import subscriptions
from mana_credits.service_events.models import EventMessage, EventSubscription

PERMISSION = "service_events.manage_event_subscriptions"
REPLAY = "service_events.replay_event_messages"

Secret = tuple[EventSubscription, str]


def create(
    operator: Operator,
    new: tuple[str, str, Collection[str]],
    *,
    why: Justification,
    key: UUID,
    now: datetime,
) -> Secret:
    """Create a subscription (service, URL, events) and return it with its secret.

    Raises NoteRequired, InvalidSubscription, NotPermitted, AlreadyDone.
    """
    with audit.acting(operator, PERMISSION, why=audit.require_note(why), key=key) as act:
        service, url, events = new
        made, secret = subscriptions.create(service, url, events, by=operator.name, now=now)
        act.subject = subject(made)
        act.after = {"service": service, "url": url, "events": ", ".join(made.events)}
        return made, secret


def rotate(
    operator: Operator,
    pk: UUID,
    *,
    overlap: timedelta,
    why: Justification,
    key: UUID,
    now: datetime,
) -> Secret:
    """Replace the secret and return the subscription with the new one.

    Raises SubscriptionUnknown, NoteRequired, NotPermitted, AlreadyDone.
    """
    with audit.acting(operator, PERMISSION, why=audit.require_note(why), key=key) as act:
        made, secret = subscriptions.rotate(pk, overlap=overlap, now=now)
        act.subject, act.after = subject(made), {"old_secret_until": now + overlap}
        return made, secret


def pause(operator: Operator, pk: UUID, *, why: Justification, key: UUID, now: datetime) -> None:
    """Stop deliveries. Raises SubscriptionUnknown, NoteRequired, NotPermitted, AlreadyDone."""
    with audit.acting(operator, PERMISSION, why=audit.require_note(why), key=key) as act:
        act.before = _status(pk)
        act.subject = subject(subscriptions.pause(pk, now=now))
        act.after = {"status": "paused"}


def resume(operator: Operator, pk: UUID, *, why: Justification, key: UUID, now: datetime) -> None:
    """Continue deliveries. Raises SubscriptionUnknown, NoteRequired, NotPermitted, AlreadyDone."""
    with audit.acting(operator, PERMISSION, why=audit.require_note(why), key=key) as act:
        act.before = _status(pk)
        act.subject = subject(subscriptions.resume(pk))
        act.after = {"status": "active"}


def end(operator: Operator, pk: UUID, *, why: Justification, key: UUID, now: datetime) -> None:
    """End a subscription. Raises SubscriptionUnknown, NoteRequired, NotPermitted, AlreadyDone."""
    with audit.acting(operator, PERMISSION, why=audit.require_note(why), key=key) as act:
        act.before = _status(pk)
        act.subject = subject(subscriptions.end(pk, now=now))
        act.after = {"status": "ended"}


def replay_parked(
    operator: Operator, pk: UUID, *, why: Justification, key: UUID, now: datetime
) -> int:
    """Send all parked messages of a subscription again and return their number.

    Raises NoteRequired, NotPermitted, AlreadyDone.
    """
    with audit.acting(operator, REPLAY, why=audit.require_note(why), key=key) as act:
        count = subscriptions.replay_parked(pk, now=now)
        act.subject = f"event_subscription:{pk}"
        act.before, act.after = {"parked": count}, {"parked": 0}
        return count


def replay(
    operator: Operator, pk: UUID, *, why: Justification, key: UUID, now: datetime
) -> EventMessage:
    """Send a message again.

    Raises MessageNotReplayable, NoteRequired, NotPermitted, AlreadyDone.
    """
    with audit.acting(operator, REPLAY, why=audit.require_note(why), key=key) as act:
        message = subscriptions.replay(pk, now=now)
        act.subject = f"event_message:{pk}"
        return message


def _status(pk: UUID) -> dict[str, str]:
    found = EventSubscription.objects.filter(pk=pk).first()
    return {"status": found.status} if found else {}


def subject(subscription: EventSubscription) -> str:
    """Return the subscription's name in the audit trail."""
    return f"event_subscription:{subscription.pk}"
