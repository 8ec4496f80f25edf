"""Signed events with any odd value in any field are stored and answered with 200."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from credits.models import MoneyBack
from tests.quick import at_most
from tests.stripe import Object, Stripe, deliver
from webhooks.models import StripeEvent

pytestmark = pytest.mark.django_db

ODD: list[Any] = [
    *(None, True, -1, 0.5, 10**30, 1e-300, 1e300),
    *("", "x" * 5000, "\0", "\ud800", "2026-10-15", "javascript:alert(1)"),
    *([], {}, [1], [{}], {"id": ["a"]}, [{"amount": -499, "id": {}}]),
]
METADATA = {"purchaseId": "01a22185-1bb6-7326-9d13-80e0ec46c8b5"}
PAYMENT = {"id": "pi_odd", "amount": 499, "currency": "eur", "status": "succeeded"}
OBJECTS: dict[str, Object] = {
    "payment_intent.succeeded": {**PAYMENT, "amount_received": 499, "metadata": METADATA},
    "checkout.session.completed": {
        "id": "cs_odd",
        "amount_total": 499,
        "currency": "eur",
        "payment_intent": "pi_odd",
        "payment_status": "paid",
        "metadata": METADATA,
    },
    "refund.created": {**PAYMENT, "payment_intent": "pi_odd", "metadata": {"returnId": "x"}},
    "charge.refunded": {"id": "ch_odd", "payment_intent": "pi_odd", "amount_refunded": 200},
    "charge.succeeded": {
        "id": "ch_odd",
        "payment_intent": "pi_odd",
        "receipt_url": "https://pay.stripe.com/receipts/1",
        "metadata": METADATA,
    },
    "charge.dispute.closed": {
        **PAYMENT,
        "payment_intent": "pi_odd",
        "status": "lost",
        "balance_transactions": [
            {"id": "txn_1", "amount": -549, "currency": "usd", "exchange_rate": 1.1},
            {"id": "txn_2", "amount": 220, "currency": "usd", "exchange_rate": 1.1},
        ],
    },
    "invoice.paid": {"id": "in_odd", "hosted_invoice_url": "https://x.test", "metadata": METADATA},
}
MISSING = object()
VALUES = (*ODD, MISSING)
# With `--quick`, each path gets a quarter of the values; the next path gets the next quarter.
AT_ONCE = len(VALUES) * at_most(40) // 40


def paths(value: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the way to each value inside of `value`."""
    steps = value if isinstance(value, dict) else range(len(value)) if _is_list(value) else ()
    for step in steps:
        yield (step,)
        yield from ((step, *rest) for rest in paths(value[step]))


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def replaced(event: Object, path: tuple[Any, ...], odd: Any) -> Object:
    """Return a copy of the event with another value at the end of a path, or without it."""
    copy = deepcopy(event)
    place: Any = copy
    for step in path[:-1]:
        place = place[step]
    if odd is MISSING:
        del place[path[-1]]
    else:
        place[path[-1]] = odd
    return copy


def refused(event: Object, within: tuple[Any, ...] = ()) -> list[tuple[Any, Any]]:
    """Return which odd values at which paths below `within` are not answered with 200."""
    found = []
    below = [path for path in paths(event) if path[: len(within)] == within]
    for turn, path in enumerate(below):
        start = turn * AT_ONCE % len(VALUES)
        for odd in (VALUES * 2)[start : start + AT_ONCE]:
            changed = replaced(event, path, odd)
            if deliver(json.dumps(changed).encode()).status_code != 200:
                found.append((path, odd))
            StripeEvent.objects.all().delete()
            MoneyBack.objects.all().delete()
    return found


def event_of(kind: str) -> Object:
    return {
        "id": "evt_odd",
        "object": "event",
        "type": kind,
        "created": 1795617000,
        "livemode": False,
        "account": None,
        "data": {"object": OBJECTS[kind]},
    }


def test_an_odd_value_in_the_envelope_is_never_refused() -> None:
    assert refused({**event_of("charge.refunded"), "data": {}}) == []


@pytest.mark.parametrize("kind", OBJECTS)
def test_a_complete_event_with_the_type_of_a_thin_one_is_applied(stripe: Stripe, kind: str) -> None:
    event = {**event_of(kind), "type": f"v1.{kind}"}

    assert deliver(json.dumps(event).encode()).status_code == 200

    assert StripeEvent.objects.get().outcome in {"applied", "unknown"}


@pytest.mark.parametrize("kind", OBJECTS)
def test_an_odd_value_in_the_object_is_never_refused(stripe: Stripe, kind: str) -> None:
    assert refused(event_of(kind), ("data", "object")) == []


@pytest.mark.parametrize("related", ["payment_intent", "refund", "dispute", "charge", "other"])
def test_an_odd_value_in_a_thin_event_is_never_refused(stripe: Stripe, related: str) -> None:
    event = {
        "id": "evt_odd",
        "object": "v2.core.event",
        "type": "v1.charge.refunded",
        "created": "2026-10-15T09:26:53.123Z",
        "livemode": False,
        "context": None,
        "related_object": {"id": "x_1", "type": related, "url": "/v1/x"},
    }

    assert refused(event) == []
