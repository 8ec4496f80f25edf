"""Erasure of a person's data from the messages of events: the messages are deleted."""

from collections import Counter

from mana_credits.privacy.erasure_rows import ErasedPerson, PersonalRows, Sections
from mana_credits.service_events.models import EventMessage


# Without rows to lock: a trigger writes a message while its movement holds the balance's lock.
def _strip(person: ErasedPerson) -> Counter[str]:
    return Counter(
        {"events delivered to services": EventMessage.objects.filter(user_id=person.id).delete()[0]}
    )


def _sections(user_id: str) -> Sections:
    told = EventMessage.objects.filter(user_id=user_id).order_by("number")
    return {"events_told": told.values("event", "data", "status", "created_at", "delivered_at")}


ROWS = PersonalRows(_strip, _sections)
