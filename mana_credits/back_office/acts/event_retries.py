"""Operators' retries of Stripe events."""

from datetime import datetime
from uuid import UUID

from credits.errors import DomainError
from mana_credits.back_office.acts import audit
from mana_credits.back_office.acts.audit import Justification, Operator
from webhooks import events
from webhooks.models import StripeEvent


class EventNotWaiting(DomainError):
    """The event does not exist or was already processed."""

    code = "event_not_waiting"
    status = 409
    message = "This event was processed before"


def process_event(
    operator: Operator, event_id: str, *, why: Justification, key: UUID, now: datetime
) -> StripeEvent:
    """Process a stored event again and return it. If it fails again, it keeps the traceback.

    An event that could not be read is parsed again. Its effects are committed after the act's audit
    record, in their own transaction. Raises NotPermitted, AlreadyDone, NoteRequired,
    EventNotWaiting.
    """
    why = audit.require_note(why)
    with audit.acting(operator, "webhooks.process_event", why=why, key=key) as act:
        waiting = StripeEvent.objects.filter(pk=event_id).first()
        if waiting is None or not waiting.is_due:
            raise EventNotWaiting
        act.subject = f"event:{event_id}"
        act.before = {"attempts": waiting.attempts}
    events.attempt(event_id, now=now)
    return StripeEvent.objects.get(pk=event_id)
