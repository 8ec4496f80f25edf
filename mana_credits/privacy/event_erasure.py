"""Erasure of a person's data from events: the payloads go, ids and times stay.

Besides the events of the person's purchases these are all that name them, their customer at Stripe
or their e-mail address, such as those of charges, which nobody here acts upon.
"""

import json
from collections import Counter
from typing import Any

from django.db import transaction
from django.db.models import Q

from credits.models import Purchase, StripeCustomer
from mana_credits.privacy.erasure import Person, Rows, Sections
from webhooks.models import StripeEvent

# What Stripe's objects say of people; no handler needs any of it once the person is erased.
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


def _settle(person: Person) -> None:
    """Take the person out of the events that are still to be processed.

    Here, because an event is locked before its purchase, never after it.
    """
    waiting = StripeEvent.objects.filter(_about(person), processed_at=None)
    for event_id in waiting.values_list("pk", flat=True):
        _redact(event_id, person)


@transaction.atomic
def _redact(event_id: str, person: Person) -> None:
    still_waiting = StripeEvent.objects.select_for_update().filter(pk=event_id, processed_at=None)
    for event in still_waiting:
        event.payload, event.error = json.dumps(_without(json.loads(event.payload), person)), None
        event.save(update_fields=["payload", "error"])


def _lock(person: Person) -> None:
    """Lock nothing more."""


def _strip(person: Person) -> Counter[str]:
    done = StripeEvent.objects.filter(_about(person), processed_at__isnull=False)
    return Counter({"events": done.exclude(payload="").update(payload="", error=None)})


def _sections(user_id: str) -> Sections:
    events = StripeEvent.objects.filter(_about(Person(user_id, "")))
    return {"stripe_events": events.order_by("created_at", "pk").values()}


def _about(person: Person) -> Q:
    about = Q(purchase__user_id=person.id) | Q(error__contains=person.id)
    for name in (person.id, *_customers(person.id)):
        for written in {json.dumps(name), json.dumps(name, ensure_ascii=False)}:
            about |= Q(payload__contains=written)
    for address in person.addresses:
        about |= Q(payload__icontains=address)
    return about


def _customers(user_id: str) -> set[str]:
    """Return the user's customers at Stripe."""
    known = (
        rows.filter(user_id=user_id).values_list("stripe_customer_id", flat=True)
        for rows in (StripeCustomer.objects, Purchase.objects)
    )
    return {customer for some in known for customer in some if customer}


def _without(part: Any, person: Person) -> Any:
    """Return a part of an event without what says who it is about."""
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


ROWS = Rows(_lock, _strip, _sections, settle=_settle)
