"""What operators do with Stripe's events: process one again."""

from datetime import datetime
from uuid import UUID

from credits.errors import DomainError
from mana_credits.back_office.acts import audit
from mana_credits.back_office.acts.audit import Operator, Why
from webhooks import events
from webhooks.models import StripeEvent


class EventNotWaiting(DomainError):
    """There is no such event, or it was processed."""

    code = "event_not_waiting"
    status = 409
    message = "This event was processed before"


def process_event(
    operator: Operator, event_id: str, *, why: Why, key: UUID, now: datetime
) -> StripeEvent:
    """Process a stored event again and return it; one that fails again keeps the traceback.

    An event that could not be read is read again. Its effects commit by themselves, after the
    record of the act. Raises NotPermitted,
    AlreadyDone, NoteMissing, EventNotWaiting.
    """
    why = audit.words(why)
    with audit.acting(operator, "webhooks.process_event", why=why, key=key) as act:
        waiting = StripeEvent.objects.filter(pk=event_id).first()
        if waiting is None or not waiting.is_due:
            raise EventNotWaiting
        act.subject = f"event:{event_id}"
        act.before = {"attempts": waiting.attempts}
    events.attempt(event_id, now=now)
    return StripeEvent.objects.get(pk=event_id)
