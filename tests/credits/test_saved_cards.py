"""Users save a card for top-ups in a Checkout Session, without a script of Stripe's."""

from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from credits.models import AutoTopUp, Package, Purchase, StripeCustomer
from credits.payments import saved_cards
from credits.payments.stripe_errors import CustomerGone
from tests.api import Answer, Caller
from tests.stripe import PAGES, Stripe, deliver
from webhooks.models import StripeEvent

pytestmark = pytest.mark.django_db

BACK = {**PAGES, "successUrl": "http://localhost:5173/ok?card={CHECKOUT_SESSION_ID}"}


def open_checkout(who: Caller, **fields: Any) -> str:
    """Start saving a card. Return the URL of the Checkout page."""
    answer = who.post("auto-top-up/setup", {**BACK, **fields})
    assert answer.status_code == 200, answer.json()
    url: str = answer.json()["checkoutUrl"]
    assert answer.json() == {"setupIntentId": None, "clientSecret": None, "checkoutUrl": url}
    return url


def save_card(url: str, card: str = "card") -> str:
    """Save a card on the page. Return the session's id from the address that it leads to."""
    answer = requests.post(url, {"card": card}, allow_redirects=False, timeout=5)
    (session_id,) = parse_qs(urlsplit(answer.headers["Location"]).query)["card"]
    return session_id


def agree(who: Caller, offer: Package, **card: Any) -> Answer:
    terms = {"packageId": str(offer.pk), "threshold": 10, "monthlyMaximum": 3}
    return who.put("auto-top-up", {**terms, **card})


def test_a_card_that_was_saved_in_checkout_is_agreed_to(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    session_id = save_card(open_checkout(alice))

    answer = agree(alice, starter, checkoutSessionId=session_id)

    assert answer.status_code == 200
    agreement = answer.json()["agreement"]
    assert (agreement["packageName"], agreement["credits"]) == ("Starter", 500)
    (method,) = {AutoTopUp.objects.get().stripe_payment_method_id}
    assert stripe.get(f"payment_methods/{method}")["card"]["last4"] == "4242"


def test_stripes_event_about_a_saved_card_moves_nothing(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    save_card(open_checkout(alice))

    (event,) = stripe.events()
    answer = deliver(event)

    assert event["type"] == "checkout.session.completed"
    assert answer.status_code == 200
    assert (StripeEvent.objects.get().outcome, StripeEvent.objects.get().error) == ("unknown", None)
    assert not Purchase.objects.exists()


def test_a_session_that_saved_nothing_or_is_of_somebody_else_is_refused(
    alice: Caller, bob: Caller, starter: Package, stripe: Stripe
) -> None:
    unfinished = open_checkout(alice).rpartition("/")[2]
    of_bob = save_card(open_checkout(bob))

    for session_id in (unfinished, of_bob, "cs_test_unknown"):
        answer = agree(alice, starter, checkoutSessionId=session_id)
        assert (answer.status_code, answer.json()["code"]) == (409, "card_not_saved")
    assert not AutoTopUp.objects.exists()


def test_two_cards_at_once_are_refused(alice: Caller, starter: Package, stripe: Stripe) -> None:
    answer = agree(alice, starter, checkoutSessionId="cs_1", setupIntentId="seti_1")

    assert (answer.status_code, list(answer.json()["details"])) == (400, ["checkoutSessionId"])


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"cancelUrl": None}, "cancelUrl"),
        ({"successUrl": None}, "successUrl"),
        ({"successUrl": "https://evil.test/"}, "successUrl"),
        ({"cancelUrl": "javascript:alert(1)"}, "cancelUrl"),
    ],
)
def test_a_page_to_return_to_that_is_not_ours_is_refused(
    alice: Caller, stripe: Stripe, fields: dict[str, Any], named: str
) -> None:
    answer = alice.post("auto-top-up/setup", {**BACK, **fields})

    assert (answer.status_code, list(answer.json()["details"])) == (400, [named])
    assert not StripeCustomer.objects.exists()


@pytest.mark.parametrize("pages", [BACK, {}], ids=["checkout", "library"])
def test_a_customer_who_was_deleted_at_stripe_is_created_again(
    alice: Caller, stripe: Stripe, pages: dict[str, str]
) -> None:
    alice.post("auto-top-up/setup", pages)
    gone = StripeCustomer.objects.get().stripe_customer_id
    stripe.delete(f"customers/{gone}")

    answer = alice.post("auto-top-up/setup", pages)

    assert answer.status_code == 200
    assert StripeCustomer.objects.get().stripe_customer_id != gone


def test_a_customer_who_is_gone_again_at_once_is_503(alice: Caller, stripe: Stripe) -> None:
    with patch.object(saved_cards, "create_setup", side_effect=CustomerGone) as asked:
        answer = alice.post("auto-top-up/setup", {})

    assert (answer.status_code, answer.json()["code"]) == (503, "payment_unavailable")
    assert asked.call_count == 2
