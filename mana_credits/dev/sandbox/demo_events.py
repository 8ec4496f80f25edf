"""Stripe events about the demo community's purchases, received as from Stripe.

The events of the purchases themselves are missing: the community's history is posted without
Stripe.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from credits.models import Purchase
from mana_credits.dev.sandbox.stripe import UNREADABLE_DISPUTE
from webhooks import envelope, events

SHOWN = 6


def seed_stripe_events(*, now: datetime) -> None:
    """Receive events of each outcome, also one that quarantines a purchase."""
    paid = _purchases(Purchase.Status.COMPLETED)[:SHOWN]
    abandoned = _purchases(Purchase.Status.CANCELLED)[:1]
    for place, purchase in enumerate(paid):
        _receive(f"paid{place}", "payment_intent.succeeded", _intent(purchase), purchase.created_at)
    for purchase in abandoned:
        _receive("less", "payment_intent.succeeded", _intent(purchase, missing_cents=1), now)
    stranger = {**_intent(paid[0]), "id": "pi_demoofanotherservice", "metadata": {}}
    _receive("stranger", "payment_intent.succeeded", stranger, now - timedelta(hours=3))
    _receive("customer", "customer.updated", {"id": "cus_demo"}, now - timedelta(hours=2))
    broken = {"id": "pi_demobroken", "amount": "499"}
    _receive("broken", "payment_intent.succeeded", broken, now - timedelta(hours=1))
    _receive_thin("failed", "v1.charge.dispute.updated", ("dispute", UNREADABLE_DISPUTE), now)


def _purchases(status: Purchase.Status) -> list[Purchase]:
    found = Purchase.objects.filter(status=status, stripe_payment_intent_id__startswith="pi_demo")
    return list(found.order_by("-number"))


def _receive(name: str, kind: str, thing: Mapping[str, Any], at: datetime) -> None:
    event = {
        "id": f"evt_demo{name}",
        "object": "event",
        "type": kind,
        "created": int(at.timestamp()),
        "data": {"object": thing},
    }
    events.receive(json.dumps(event, indent=2).encode(), now=at)


def _receive_thin(name: str, kind: str, related: tuple[str, str], at: datetime) -> None:
    """Receive an event without its object, which is fetched from Stripe, and try it once more.

    The second attempt is the worker's. If it fails, the worker waits before the next one.
    """
    event = {
        "id": f"evt_demo{name}",
        "object": envelope.THIN,
        "type": kind,
        "created": at.isoformat(),
        "related_object": {"type": related[0], "id": related[1]},
    }
    events.receive(json.dumps(event, indent=2).encode(), now=at)
    list(events.process_due(now=at, limit=SHOWN))


def _intent(purchase: Purchase, *, missing_cents: int = 0) -> dict[str, Any]:
    cents = purchase.price_euro_cents
    return {
        "id": purchase.stripe_payment_intent_id,
        "object": "payment_intent",
        "amount": cents,
        "amount_received": cents - missing_cents,
        "currency": "eur",
        "customer": purchase.stripe_customer_id,
        "metadata": {"purchaseId": str(purchase.pk)},
        "status": "succeeded",
    }
