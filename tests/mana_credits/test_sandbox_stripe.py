"""The sandbox's Stripe: paying, disputes and errors."""

from typing import Any

import pytest
import requests

from credits.models import Package, Purchase
from mana_credits.dev.sandbox.seed import seed_packages
from tests.api import Caller
from tests.stripe import PAGES, Stripe, buy, deliver

pytestmark = pytest.mark.django_db


def test_a_page_to_pay_at_leads_back_to_the_app(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    url = buy(alice, starter, **PAGES).json()["checkoutUrl"]

    page = requests.get(url, timeout=5)
    paid = requests.post(
        url,
        data={"method": "card"},
        headers={"Accept": "text/html"},
        allow_redirects=False,
        timeout=5,
    )

    assert (page.status_code, "4.99 EUR" in page.text) == (200, True)
    assert (paid.status_code, paid.headers["Location"]) == (303, PAGES["successUrl"])
    for event in stripe.events():
        deliver(event)
    assert Purchase.objects.get().status == "completed"


@pytest.mark.parametrize(
    ("name", "method", "message"),
    [("pi_unknown", "card", "Not Found"), (None, "gold", "Unknown method. Allowed: card")],
)
def test_what_cannot_be_paid_is_refused(
    alice: Caller, starter: Package, stripe: Stripe, name: str | None, method: str, message: str
) -> None:
    purchase = buy(alice, starter).json()["purchaseId"]

    answer: Any = stripe.pay(name or purchase, method)

    assert answer["error"]["message"].startswith(message)


@pytest.mark.parametrize("pages", [PAGES, {}], ids=["checkout", "intent"])
def test_a_declined_card_is_told_on_a_page(
    alice: Caller, starter: Package, stripe: Stripe, pages: dict[str, str]
) -> None:
    purchase = buy(alice, starter, **pages).json()["purchaseId"]
    browser = {"Accept": "text/html,*/*"}

    declined = requests.post(
        f"{stripe.url}/pay/{purchase}", {"method": "declined-card"}, headers=browser, timeout=5
    )

    assert (declined.status_code, declined.headers["Content-Type"]) == (
        402,
        "text/html; charset=utf-8",
    )
    assert "<h1>Not paid</h1><p>Your card was declined.</p>" in declined.text
    assert stripe.pay(purchase, "declined-card")["error"]["code"] == "card_declined"  # as JSON
    assert Purchase.objects.get().status in {"pending", "processing"}


def test_cancelling_an_intent_sends_its_event(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    purchase = buy(alice, starter).json()["purchaseId"]
    intent = Purchase.objects.get(pk=purchase).stripe_payment_intent_id

    cancelled = stripe.post(f"v1/payment_intents/{intent}/cancel")

    assert cancelled["status"] == "canceled"
    [event] = [one for one in stripe.events() if one["type"] == "payment_intent.canceled"]
    assert event["data"]["object"]["id"] == intent
    assert deliver(event).status_code == 200
    assert Purchase.objects.get().status == "cancelled"


def test_a_session_is_paid_once(alice: Caller, starter: Package, stripe: Stripe) -> None:
    purchase = buy(alice, starter, **PAGES).json()["purchaseId"]
    stripe.pay(purchase)

    again: Any = stripe.pay(purchase)

    assert again["error"]["message"] == "This session is no longer open"


def test_without_a_key_nobody_is_served(stripe: Stripe) -> None:
    assert requests.get(f"{stripe.url}/v1/payment_intents", timeout=5).status_code == 401


def test_the_sandbox_offers_packages_once(anonymous: Caller) -> None:
    seed_packages()
    seed_packages()

    offered = anonymous.get("packages").json()
    assert [(one["name"], one["credits"], one["priceEuroCents"]) for one in offered] == [
        ("Starter", 500, 499),
        ("Plus", 1200, 999),
        ("Studio", 5000, 3499),
    ]
