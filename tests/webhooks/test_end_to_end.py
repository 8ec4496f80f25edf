"""localstripe and the service over HTTP, with Stripe's library and signatures.

localstripe creates and signs the events, and sends them a second later.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from credits.ledger.posting import Origin
from credits.models import Package, Purchase
from credits.payments import refund_requests
from mana_credits.dev.sandbox import stripe as sandbox_stripe
from tests.api import Caller
from tests.credits.test_money_back import NOW
from tests.stripe import PAGES, SECRET, WEBHOOK, Stripe, buy


@pytest.fixture
def stripe(
    live_server: Any, committed: None, stripe_server: str, settings: Any
) -> Iterator[Stripe]:
    """Run the sandbox's Stripe, which sends its events to the running service."""
    settings.STRIPE_API_BASE = stripe_server
    with sandbox_stripe.telling(live_server.url + WEBHOOK, SECRET):
        yield Stripe(stripe_server)
        time.sleep(1.2)  # pending events must still find the service
    sandbox_stripe.forget()


def ends_as(purchase: Purchase, status: str, balance: float, alice: Caller) -> None:
    deadline = time.monotonic() + 6
    while time.monotonic() < deadline:
        purchase.refresh_from_db()
        if purchase.status == status:
            break
        time.sleep(0.05)
    assert (purchase.status, alice.get("balance").json()["balance"]) == (status, balance)


def started(alice: Caller, offer: Package, **pages: str) -> Purchase:
    return Purchase.objects.get(pk=buy(alice, offer, **pages).json()["purchaseId"])


@pytest.mark.slow
def test_a_card_that_is_declined_then_accepted_then_refunded(
    alice: Caller, stripe: Stripe, starter: Package
) -> None:
    purchase = started(alice, starter)
    stripe.pay(str(purchase.pk), "declined-card")
    ends_as(purchase, "failed", 0, alice)

    stripe.pay(str(purchase.pk))
    ends_as(purchase, "completed", 500, alice)

    refund_requests.refund(
        purchase.pk, cents=None, reason="test", origin=Origin("operator:olga"), now=NOW
    )
    ends_as(purchase, "refunded", 0, alice)


@pytest.mark.slow
def test_a_debit_at_checkout_succeeds_later(
    alice: Caller, stripe: Stripe, starter: Package
) -> None:
    purchase = started(alice, starter, **PAGES)

    stripe.pay(str(purchase.pk), "sepa")

    ends_as(purchase, "processing", 0, alice)
    ends_as(purchase, "completed", 500, alice)
