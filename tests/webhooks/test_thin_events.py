"""Thin events: the object is fetched from Stripe and applied in its current state."""

import json
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest
from django.core.management import call_command

from credits.models import Package, Purchase
from credits.payments import stripe_api
from credits.payments.stripe_errors import PaymentUnavailable
from tests.api import Caller
from tests.stripe import PAGES, Object, Stripe, buy, deliver, no_waiting, state
from webhooks import events
from webhooks.models import StripeEvent

pytestmark = pytest.mark.django_db


def thin(kind: str, related: str, name: str, **fields: Any) -> Object:
    return {
        "id": "evt_1",
        "object": "v2.core.event",
        "type": kind,
        "livemode": False,
        "created": "2026-10-15T09:26:53.123Z",
        "related_object": {"id": name, "type": related, "url": f"/v1/{related}s/{name}"},
        **fields,
    }


@pytest.fixture
def bought(alice: Caller, starter: Package, stripe: Stripe) -> Purchase:
    """Return a pending purchase of alice."""
    return Purchase.objects.get(pk=buy(alice, starter).json()["purchaseId"])


def paid_event(purchase: Purchase) -> Object:
    intent = purchase.stripe_payment_intent_id or ""
    return thin("v1.payment_intent.succeeded", "payment_intent", intent)


def test_a_payment_is_fetched_and_credited_once(bought: Purchase, stripe: Stripe) -> None:
    stripe.pay(str(bought.pk))

    answers = [deliver(paid_event(bought)), deliver({**paid_event(bought), "id": "evt_2"})]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert state(bought) == ("completed", 500)
    stored = StripeEvent.objects.get(pk="evt_1")
    assert (stored.outcome, stored.purchase_id) == ("applied", bought.pk)
    assert stored.created_at.isoformat() == "2026-10-15T09:26:53.123000+00:00"


def test_the_object_counts_and_not_the_events_name(bought: Purchase, stripe: Stripe) -> None:
    deliver(paid_event(bought))
    unpaid = state(bought)
    stripe.pay(str(bought.pk))

    failed = {**paid_event(bought), "id": "evt_2", "type": "v1.payment_intent.payment_failed"}
    deliver(failed)

    assert unpaid == ("pending", 0)
    assert state(bought) == ("completed", 500)


@pytest.mark.parametrize(
    ("act", "status"),
    [
        (lambda stripe, intent: stripe.pay(intent, "declined-card"), "failed"),
        (lambda stripe, intent: stripe.pay(intent, "sepa"), "processing"),
        (lambda stripe, intent: stripe.post(f"v1/payment_intents/{intent}/cancel"), "cancelled"),
    ],
)
def test_a_payment_that_is_not_there_yet(
    bought: Purchase, stripe: Stripe, act: Any, status: str
) -> None:
    act(stripe, bought.stripe_payment_intent_id)

    deliver(paid_event(bought))

    assert state(bought) == (status, 0)


def test_refunds_disputes_and_charges_are_fetched(bought: Purchase, stripe: Stripe) -> None:
    stripe.pay(str(bought.pk))
    deliver(paid_event(bought))
    intent = bought.stripe_payment_intent_id or ""
    refund = stripe.refund(intent, amount=200)
    dispute = stripe.post(f"disputes/{bought.pk}")
    stripe.post(f"disputes/{dispute['id']}/lost", reinstated=200)
    charge = stripe.get(f"payment_intents/{intent}")["latest_charge"]["id"]

    deliver(thin("v1.refund.created", "refund", refund["id"], id="evt_2"))
    part = state(bought)
    kind = "v1.charge.dispute.funds_reinstated"
    deliver(thin(kind, "dispute", dispute["id"], id="evt_3"))
    deliver(thin("v1.charge.refunded", "charge", charge, id="evt_4"))

    assert part == ("partially_refunded", 299.5992)
    assert state(bought) == ("disputed", 0)
    outcomes = StripeEvent.objects.order_by("pk").values_list("outcome", flat=True)
    assert list(outcomes) == ["applied"] * 4
    assert bought.receipt_url == f"{stripe.url}/receipts/{charge}"


def test_a_session_leads_to_its_payment(alice: Caller, starter: Package, stripe: Stripe) -> None:
    purchase_id = buy(alice, starter, **PAGES).json()["purchaseId"]
    purchase = Purchase.objects.get(pk=purchase_id)
    session = purchase.stripe_checkout_session_id or ""
    completed = thin("v1.checkout.session.completed", "checkout.session", session)
    deliver(completed)
    still_open = state(purchase)
    stripe.pay(purchase_id)

    deliver({**completed, "id": "evt_2"})

    assert still_open == ("pending", 0)
    assert state(purchase) == ("completed", 500)


def test_a_session_that_expired_is_cancelled(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    purchase = Purchase.objects.get(pk=buy(alice, starter, **PAGES).json()["purchaseId"])
    session = purchase.stripe_checkout_session_id or ""
    stripe.post(f"v1/checkout/sessions/{session}/expire")

    deliver(thin("v1.checkout.session.expired", "checkout.session", session))

    assert state(purchase) == ("cancelled", 0)


def test_what_stripe_does_not_have_or_is_none_of_ours_changes_nothing(
    bought: Purchase, stripe: Stripe
) -> None:
    other = stripe.post("v1/payment_intents", amount=5, currency="eur")
    stripe.pay(other["id"])

    for number, name in enumerate((other["id"], "pi_missing")):
        kind = "v1.payment_intent.succeeded"
        answer = deliver(thin(kind, "payment_intent", name, id=f"evt_{number}"))
        assert answer.status_code == 200

    assert set(StripeEvent.objects.values_list("outcome", flat=True)) == {"unknown"}
    assert state(bought) == ("pending", 0)


def test_pings_and_other_types_are_stored_without_asking_stripe(settings: Any) -> None:
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    ping = thin("v2.core.event_destination.ping", "v2.core.event_destination", "ed_1")
    created = thin("v1.customer.created", "customer", "cus_1", id="evt_2")
    odd = thin("v1.payment_intent.succeeded", "customer", "cus_1", id="evt_3")

    answers = [deliver(one) for one in (ping, created, odd)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    outcomes = StripeEvent.objects.order_by("pk").values_list("outcome", flat=True)
    assert list(outcomes) == ["ignored", "ignored", "unknown"]


def test_while_stripe_is_away_an_event_is_stored_and_applied_later(
    bought: Purchase, stripe: Stripe, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stripe.pay(str(bought.pk))
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    with no_waiting():
        answer = deliver(paid_event(bought))
    waiting = StripeEvent.objects.get()
    before = state(bought)
    settings.STRIPE_API_BASE = stripe.url

    call_command("process_stripe_events")

    assert answer.status_code == 200
    assert (waiting.processed_at, waiting.attempts) == (None, 1)
    assert "PaymentUnavailable" in (waiting.error or "")
    assert before == ("pending", 0)
    assert state(bought) == ("completed", 500)
    assert "process_stripe_events: 1 processed." in capsys.readouterr().out
    assert stripe_api.intent("pi_missing") is None
    assert stripe_api.charge("ch_missing") is None
    assert stripe_api.invoice("in_missing") is None


def test_a_run_asks_a_stripe_that_is_away_once(bought: Purchase) -> None:
    now = datetime.now(UTC)
    for name in ("evt_1", "evt_2", "evt_3"):
        body = {**paid_event(bought), "id": name}
        StripeEvent.objects.create(
            id=name,
            type=body["type"],
            payload=json.dumps(body),
            created_at=now,
            received_at=now,
        )

    with patch("credits.payments.stripe_api.intent", side_effect=PaymentUnavailable) as asked:
        outcomes = [one.outcome for one in events.process_due(now=now, limit=10)]

    assert outcomes == ["failed"] * 3
    assert asked.call_count == 1
    assert state(bought) == ("pending", 0)
