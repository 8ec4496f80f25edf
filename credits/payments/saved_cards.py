"""Cards that buyers save at Stripe, and charges to them while the buyer is away."""

from typing import Any

from credits.models import Purchase
from credits.payments import stripe_api
from credits.payments.purchase_parameters import metadata_of, opening_key
from credits.payments.stripe_api import Object

CARD_ONLY = ["card"]


def create_setup(customer_id: str) -> Object:
    """Create a setup intent with which the customer saves a card."""
    params: Any = {
        "customer": customer_id,
        "usage": "off_session",
        "allowed_payment_method_types": CARD_ONLY,
    }
    with stripe_api.asking():
        return stripe_api.as_json(stripe_api.v1().setup_intents.create(params))


def setup(setup_id: str) -> Object | None:
    """Fetch a setup intent; None if Stripe does not have it."""
    return stripe_api.found_at(stripe_api.v1().setup_intents.retrieve, setup_id)


def charge(purchase: Purchase) -> Object:
    """Charge a purchase to its saved card. Raises CardDeclined, RefusedByStripe."""
    params: Any = {
        "amount": purchase.price_euro_cents,
        "currency": stripe_api.CURRENCY,
        "customer": purchase.stripe_customer_id,
        "payment_method": purchase.stripe_payment_method_id,
        "allowed_payment_method_types": CARD_ONLY,
        "off_session": True,
        "confirm": True,
        "metadata": metadata_of(purchase),
    }
    with stripe_api.changing():
        intents = stripe_api.v1().payment_intents
        return stripe_api.as_json(intents.create(params, opening_key(purchase)))
