"""Erasure of a person's data from Stripe events. Payloads are deleted; ids and times stay.

The erasure covers the events of the person's purchases and all others whose payload contains the
person's user id, Stripe customer id or e-mail address. Some of those, such as charges, have no
handler here.
"""

import json
from collections import Counter
from typing import Any

from django.db import transaction
from django.db.models import Q

from credits.models import Purchase, StripeCustomer
from mana_credits.privacy.erasure_rows import ErasedPerson, PersonalRows, Sections
from webhooks.models import StripeEvent

# Personal fields of Stripe's objects. No handler needs them after the erasure.
PERSONAL = frozenset(
    {
        "billing_details",
        "customer",
        "customer_details",
        "customer_email",
        "description",
        "email",
        "hosted_invoice_url",
        "invoice_pdf",
        "name",
        "payment_method_details",
        "phone",
        "receipt_email",
        "receipt_url",
        "shipping",
    }
)


def _settle(person: ErasedPerson) -> None:
    """Remove the person from events that are not processed yet.

    This runs before the erasure's transaction: an event must be locked before its purchase.
    """
    waiting = StripeEvent.objects.filter(_about(person), processed_at=None)
    for event_id in waiting.values_list("pk", flat=True):
        _redact(event_id, person)


@transaction.atomic
def _redact(event_id: str, person: ErasedPerson) -> None:
    # Locked and read again: a worker may have processed the event since it was listed.
    still_waiting = StripeEvent.objects.select_for_update().filter(pk=event_id, processed_at=None)
    for event in still_waiting:
        # A waiting payload is JSON: an event whose body cannot be read is processed when it
        # arrives.
        event.payload, event.error = json.dumps(_without(json.loads(event.payload), person)), None
        event.save(update_fields=["payload", "error"])


# Without rows to lock: processed events do not change.
def _strip(person: ErasedPerson) -> Counter[str]:
    done = StripeEvent.objects.filter(_about(person), processed_at__isnull=False)
    return Counter({"events": done.exclude(payload="").update(payload="", error=None)})


def _sections(user_id: str) -> Sections:
    events = StripeEvent.objects.filter(_about(ErasedPerson(user_id, "")))
    return {"stripe_events": events.order_by("created_at", "pk").values()}


def _about(person: ErasedPerson) -> Q:
    about = Q(purchase__user_id=person.id) | Q(error__contains=person.id)
    # No index serves this. The whole table is read, once per erasure.
    for name in (person.id, *_customers(person.id)):
        # A payload may escape characters beyond ASCII or not.
        for written in {json.dumps(name), json.dumps(name, ensure_ascii=False)}:
            about |= Q(payload__contains=written)
    for address in person.addresses:
        about |= Q(payload__icontains=address)
    return about


def _customers(user_id: str) -> set[str]:
    """Return the ids of the user's Stripe customers."""
    known = (
        rows.filter(user_id=user_id).values_list("stripe_customer_id", flat=True)
        for rows in (StripeCustomer.objects, Purchase.objects)
    )
    return {customer for some in known for customer in some if customer}


def _without(part: Any, person: ErasedPerson) -> Any:
    """Return a part of an event with personal fields blanked and the user id replaced."""
    match part:
        case dict():
            return {
                key: None if key in PERSONAL else _without(value, person)
                for key, value in part.items()
            }
        case list():
            return [_without(one, person) for one in part]
        case str() if part == person.id:
            return person.pseudonym
    return part


ROWS = PersonalRows(_strip, _sections, settle=_settle)
