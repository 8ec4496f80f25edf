"""Cards that buyers save at Stripe, and charges to them while the buyer is away."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from credits.models import Purchase
from credits.payments import stripe_api, stripe_fields
from credits.payments.checkout import ReturnPages
from credits.payments.purchase_parameters import metadata_of, opening_key
from credits.payments.stripe_api import Object

# Other methods, such as SEPA debits, are confirmed after days. A top-up must arrive within seconds.
CARD_ONLY = ["card"]
PATTERNS = {"brand": re.compile(r"[a-z][a-z0-9_]{0,31}"), "last4": re.compile(r"[0-9]{4}")}


class CardSetup(NamedTuple):
    """A card to save: with Stripe's library by `client_secret`, or at `checkout_url`."""

    setup_id: str | None = None
    client_secret: str | None = None
    checkout_url: str | None = None


class CardFace(NamedTuple):
    """Stripe's name of a card's brand, such as `visa`, and its last 4 digits; None if unknown."""

    brand: str | None
    last4: str | None


def create_setup(customer_id: str) -> CardSetup:
    """Create a setup intent with which the customer saves a card."""
    params: Any = {
        "customer": customer_id,
        # The bank authenticates the buyer now, for later charges without the buyer.
        "usage": "off_session",
        "allowed_payment_method_types": CARD_ONLY,
    }
    with stripe_api.asking():
        made = stripe_api.v1().setup_intents.create(params)
    return CardSetup(setup_id=made.id, client_secret=made.client_secret)


def open_checkout(customer_id: str, *, pages: ReturnPages) -> CardSetup:
    """Create a Checkout Session in which the customer saves a card. Raises PageRefused."""
    params: Any = {
        "mode": "setup",
        "customer": customer_id,
        "currency": stripe_api.CURRENCY,
        "allowed_payment_method_types": CARD_ONLY,
        "success_url": pages.success_url,
        "cancel_url": pages.cancel_url,
    }
    with stripe_api.asking_with_pages():
        session = stripe_api.v1().checkout.sessions.create(params)
    return CardSetup(checkout_url=session.url)


def setup_of_checkout(session_id: str) -> str | None:
    """Return the setup intent's id of a Checkout Session; None if Stripe has none."""
    session = stripe_api.session(session_id)
    return stripe_fields.id_in(session, "setup_intent") if session else None


def setup(setup_id: str) -> Object | None:
    """Fetch a setup intent with its payment method; None if Stripe does not have it."""
    retrieve = stripe_api.v1().setup_intents.retrieve
    return stripe_api.found_at(retrieve, setup_id, {"expand": ["payment_method"]})


def face_of(setup: Object) -> CardFace:
    """Return the brand and the last 4 digits of a setup intent's card, each None if unknown."""
    method = setup.get("payment_method")
    card = method.get("card") if isinstance(method, Mapping) else None
    brand, last4 = (card.get(name) if isinstance(card, Mapping) else None for name in PATTERNS)
    return CardFace(_matching("brand", brand), _matching("last4", last4))


def charge(purchase: Purchase) -> Object:
    """Charge a purchase to its saved card. Raises CardDeclined, RefusedByStripe."""
    params: Any = {
        "amount": purchase.price_euro_cents,
        "currency": stripe_api.CURRENCY,
        "customer": purchase.stripe_customer_id,
        "payment_method": purchase.stripe_payment_method_id,
        "allowed_payment_method_types": CARD_ONLY,
        # No buyer is present: Stripe confirms at once, and declines if the bank asks for the buyer.
        "off_session": True,
        "confirm": True,
        "metadata": metadata_of(purchase),
    }
    with stripe_api.changing():
        intents = stripe_api.v1().payment_intents
        return stripe_api.as_json(intents.create(params, opening_key(purchase)))


def _matching(name: str, value: object) -> str | None:
    return value if isinstance(value, str) and PATTERNS[name].fullmatch(value) else None
