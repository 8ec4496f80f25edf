"""Operators see unreadable Stripe events, and won disputes without their money."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from credits.models import Purchase
from credits.payments import money_back
from tests.back_office.operators import acts, browser, form
from tests.credits.test_disputes import dispute
from tests.credits.test_money_back import paid
from tests.stripe import deliver
from webhooks.models import StripeEvent

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)
WON = "Won disputes whose money has not come back"
UNREADABLE = "Stripe events that could not be read"
DEEP = b'{"id":"evt_1","type":"refund.created","created":1764000000,"data":' + b"[" * 100_000


def page(address: str) -> str:
    return str(browser("sam").get(f"/admin/{address}").content.decode())


def test_a_win_without_money_stands_on_the_dashboard_after_5_days() -> None:
    late, early = paid(), paid()
    for purchase, days in ((late, 6), (early, 4)):
        fact = dispute(purchase, [-499, 100], status="won", stripe_id=f"dp_{days}")
        reported = NOW - timedelta(days=days)
        money_back.record(fact._replace(reported_at=reported), now=NOW)

    listed = page("credits/purchase/?dispute=won_without_money")

    assert WON in page("")
    assert late.user_id in listed
    assert early.user_id not in listed
    assert "€3.99 not back" in page(f"purchase/{late.pk}/")


def test_without_them_there_is_no_alarm() -> None:
    paid()

    shown = page("")

    assert WON not in shown
    assert UNREADABLE not in shown


def test_an_event_that_cannot_be_read_is_shown_with_its_reason() -> None:
    deliver(DEEP)

    stored = StripeEvent.objects.get()

    assert UNREADABLE in page("")
    assert stored.pk in page("webhooks/stripeevent/?outcome__exact=unreadable")
    assert "The body is not JSON" in page(f"stripe-event/{stored.pk}/")


def test_an_event_that_was_repaired_can_be_processed_again() -> None:
    purchase = paid()
    refund = {
        "id": "re_1",
        "payment_intent": purchase.stripe_payment_intent_id,
        "amount": None,
        "status": "succeeded",
    }
    event = {"id": "evt_1", "type": "refund.created", "created": 1764000000}
    deliver({**event, "data": {"object": refund}})
    address = "/admin/stripe-event/evt_1/process/"
    fiona = browser("fiona")
    again = fiona.post(address, form(), follow=True).content.decode()
    repaired = {**event, "data": {"object": {**refund, "amount": 499}}}
    StripeEvent.objects.update(payload=json.dumps(repaired))

    answer = fiona.post(address, form(), follow=True).content.decode()

    assert "The event failed again. amount is not a whole number" in again
    assert "Processed: applied." in answer
    assert Purchase.objects.get().status == "refunded"
    assert acts().count() == 2


def test_a_purchase_leads_to_its_receipt_and_invoice() -> None:
    purchase = paid()
    before = page(f"purchase/{purchase.pk}/")
    Purchase.objects.update(receipt_url="https://r.example/1", invoice_url="https://i.example/1")

    after = page(f"purchase/{purchase.pk}/")

    assert "Receipt" not in before
    assert 'href="https://r.example/1"' in after
    assert 'href="https://i.example/1"' in after
