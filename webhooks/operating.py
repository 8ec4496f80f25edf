"""What operators do with events."""

from datetime import datetime
from uuid import UUID

from credits import staff
from credits.errors import DomainError
from credits.staff import Operator, Why
from webhooks import events
from webhooks.models import StripeEvent


class EventFailed(DomainError):
    """It could not be applied again; its traceback is kept with it."""

    code = "event_failed"
    status = 409
    message = "It failed again; the new traceback is kept with the event"


def process_event(operator: Operator, event_id: str, *, key: UUID, now: datetime) -> StripeEvent:
    """Apply a stored event now. Raises NotPermitted, AlreadyDone, EventFailed."""
    subject = f"event:{event_id}"
    with staff.acting(
        operator, "webhooks.process_event", why=Why(), subject=subject, key=key
    ) as act:
        event = StripeEvent.objects.get(pk=event_id)
        act.user_id = event.purchase.user_id if event.purchase else None
        act.before = {"attempts": event.attempts}
    try:
        events.process(event_id, now=now)
    except Exception as error:
        raise EventFailed from error
    event.refresh_from_db()
    return event
