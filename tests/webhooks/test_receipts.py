"""Stripe's receipts and invoices: shown to buyers and operators, deleted by erasure."""

from typing import Any
from unittest.mock import patch

import pytest
from django.core.management import call_command

from credits.models import Package, Purchase
from credits.payments import receipts, stripe_api, stripe_facts
from mana_credits.privacy import erasure, export
from tests.api import Caller
from tests.stripe import PAGES, Object, Stripe, buy, deliver

pytestmark = pytest.mark.django_db


@pytest.fixture
def paid(alice: Caller, starter: Package, stripe: Stripe) -> Purchase:
    """Return a paid purchase of alice."""
    purchase = Purchase.objects.get(pk=buy(alice, starter).json()["purchaseId"])
    stripe.pay(str(purchase.pk))
    for event in stripe.events():
        deliver(event)
    return purchase


def shown(who: Caller, purchase: Purchase) -> Any:
    answer = who.get(f"purchase/{purchase.pk}").json()
    return answer["receiptUrl"], answer["invoiceUrl"]


def invoice(purchase: Purchase, **fields: Any) -> Object:
    return {
        "id": "in_1",
        "metadata": {"purchaseId": str(purchase.pk)},
        "hosted_invoice_url": "https://invoice.stripe.com/i/1",
        **fields,
    }


def event(kind: str, subject: Object) -> Object:
    return {"id": "evt_1", "type": kind, "created": 1764000000, "data": {"object": subject}}


def test_the_receipt_comes_with_the_charge(paid: Purchase, alice: Caller, stripe: Stripe) -> None:
    before = shown(alice, paid)
    (receipt,) = stripe.receipts()

    answer = deliver(receipt)

    url = receipt["data"]["object"]["receipt_url"]
    assert answer.status_code == 200
    assert url.startswith(f"{stripe.url}/receipts/ch_")
    assert (before, shown(alice, paid)) == ((None, None), (url, None))


def test_a_receipt_may_come_before_the_payment_of_a_checkout(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    purchase = Purchase.objects.get(pk=buy(alice, starter, **PAGES).json()["purchaseId"])
    stripe.pay(str(purchase.pk))

    for one in (*stripe.receipts(), *stripe.events()):
        deliver(one)

    assert "/receipts/ch_" in shown(alice, purchase)[0]
    purchase.refresh_from_db()
    assert purchase.status == "completed"


def test_reconciliation_brings_a_receipt(paid: Purchase, alice: Caller, stripe: Stripe) -> None:
    call_command("reconcile_stripe", "--since", "1d", "--dry-run")
    dry = shown(alice, paid)

    call_command("reconcile_stripe", "--since", "1d")

    assert dry == (None, None)
    assert "/receipts/ch_" in shown(alice, paid)[0]


def test_the_invoice_comes_when_it_is_paid(paid: Purchase, alice: Caller) -> None:
    deliver(event("invoice.paid", invoice(paid)))

    assert shown(alice, paid) == (None, "https://invoice.stripe.com/i/1")


def test_an_invoice_of_a_thin_event_is_fetched(paid: Purchase, alice: Caller) -> None:
    related = {"id": "in_1", "type": "invoice"}
    thin = {**event("v1.invoice.paid", {}), "object": "v2.core.event", "related_object": related}

    with patch("credits.payments.stripe_api.invoice", return_value=invoice(paid)):
        deliver(thin)

    assert shown(alice, paid) == (None, "https://invoice.stripe.com/i/1")


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "http://example.com/receipt",
        "https://example.com/é",
        "https://example.com/\n",
        "https://" + "x" * 2048,
        5,
        None,
    ],
)
def test_what_is_no_address_of_a_page_is_not_kept(paid: Purchase, url: Any) -> None:
    answer = deliver(event("invoice.paid", invoice(paid, hosted_invoice_url=url)))

    paid.refresh_from_db()
    assert (answer.status_code, paid.invoice_url) == (200, None)


def test_a_charge_of_another_payment_brings_no_receipt(paid: Purchase) -> None:
    charge = {
        "id": "ch_1",
        "payment_intent": "pi_other",
        "metadata": {"purchaseId": str(paid.pk)},
        "receipt_url": "https://pay.stripe.com/receipts/1",
    }

    found = receipts.record(stripe_facts.of_charge(charge))

    paid.refresh_from_db()
    assert (found, paid.receipt_url) == (paid, None)


def test_a_foreign_invoice_belongs_to_no_purchase() -> None:
    assert receipts.record(stripe_facts.of_invoice({"id": "in_1"})) is None


def test_an_erased_person_has_no_receipt_and_gets_none_later(
    paid: Purchase, stripe: Stripe
) -> None:
    deliver(event("invoice.paid", invoice(paid)))
    (receipt,) = stripe.receipts()
    deliver(receipt)
    text = "".join(export.document("alice", now=paid.created_at))

    erasure.erase("alice")
    deliver({**receipt, "id": "evt_late"})

    paid.refresh_from_db()
    assert "https://invoice.stripe.com/i/1" in text
    assert f"{stripe.url}/receipts/ch_" in text
    assert (paid.receipt_url, paid.invoice_url) == (None, None)


def test_invoices_are_asked_for_where_they_are_configured(
    alice: Caller, starter: Package, stripe: Stripe, settings: Any
) -> None:
    asked: list[Any] = []
    real = stripe_api.v1().checkout.sessions.create

    def create(params: Any, options: Any) -> Any:
        asked.append(params)
        known: Any = {name: params[name] for name in params if name != "invoice_creation"}
        return real(known, options)

    with patch("stripe.checkout._session_service.SessionService.create", side_effect=create):
        buy(alice, starter, **PAGES)
        settings.STRIPE_INVOICES = True
        second = buy(alice, starter, **PAGES).json()["purchaseId"]

    assert "invoice_creation" not in asked[0]
    metadata = asked[1]["invoice_creation"]["invoice_data"]["metadata"]
    assert (metadata["purchaseId"], asked[1]["invoice_creation"]["enabled"]) == (second, True)
    assert [one["adaptive_pricing"] for one in asked] == [{"enabled": False}] * 2
