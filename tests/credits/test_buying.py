"""A user buys credits: packages, purchases, Stripe's part of it."""

from typing import Any

import pytest

from credits.models import Package, Transaction
from tests.api import Caller
from tests.factories import package
from tests.stripe import Stripe, deliver

pytestmark = pytest.mark.django_db

PAGES = {"successUrl": "http://localhost:5173/ok", "cancelUrl": "http://localhost:5173/no"}


def buy(who: Caller, offer: Package, **fields: Any) -> Any:
    return who.post("purchase", {"packageId": str(offer.pk), **fields})


def test_the_packages_on_offer_are_public_and_in_order(anonymous: Caller, starter: Package) -> None:
    package(name="Studio", sort_order=3, stripe_price_id="price_1", metadata={"for": "artists"})
    package(name="Plus", sort_order=2, credits="1200.5", price_euro_cents=999)
    package(name="Gone", sort_order=0, active=False)

    answer = anonymous.get("packages")

    assert answer.status_code == 200
    offered = answer.json()
    assert [one["name"] for one in offered] == ["Starter", "Plus", "Studio"]
    first = offered[0]
    assert first.pop("createdAt").endswith("Z")
    assert first.pop("updatedAt").endswith("Z")
    assert first == {
        "id": str(starter.pk),
        "name": "Starter",
        "description": None,
        "credits": 500,
        "priceEuroCents": 499,
        "stripePriceId": None,
        "active": True,
        "sortOrder": 1,
        "metadata": None,
    }
    assert offered[1]["credits"] == 1200.5
    assert offered[2]["metadata"] == {"for": "artists"}


def test_a_card_payment_credits_the_purchase(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    started = buy(alice, starter).json()
    stripe.pay(started["purchaseId"])
    answers = [deliver(event).status_code for event in stripe.events()]

    assert answers == [200]
    intent = stripe.get("payment_intents")["data"][0]
    assert started == {
        "purchaseId": intent["metadata"]["purchaseId"],
        "clientSecret": intent["client_secret"],
        "amount": 499,
        "credits": 500,
    }
    assert intent["metadata"] == {
        "userId": "alice",
        "packageId": str(starter.pk),
        "purchaseId": started["purchaseId"],
    }
    assert (intent["amount"], intent["currency"]) == (499, "eur")
    assert alice.get("balance").json()["balance"] == 500
    shown = alice.get(f"purchase/{started['purchaseId']}").json()
    assert shown.pop("createdAt").endswith("Z")
    assert shown.pop("completedAt").endswith("Z")
    assert shown == {
        "id": started["purchaseId"],
        "userId": "alice",
        "packageId": str(starter.pk),
        "credits": 500,
        "priceEuroCents": 499,
        "stripePaymentIntentId": intent["id"],
        "stripeCustomerId": intent["customer"],
        "status": "completed",
        "metadata": None,
    }
    entry = Transaction.objects.get()
    assert (entry.type, entry.amount, entry.actor) == ("purchase", 500, "stripe")
    assert entry.cause == f"purchase:{started['purchaseId']}"
