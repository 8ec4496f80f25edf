"""Payment methods of the sandbox's Stripe, with the numbers that Stripe documents for tests."""

from typing import Any

from localstripe.errors import UserError
from localstripe.resources import PaymentMethod

PAYMENT_METHODS: dict[str, dict[str, Any]] = {
    "card": {"type": "card", "card": {"number": "4242424242424242"}},
    "declined-card": {"type": "card", "card": {"number": "4000000000000341"}},
    "sepa": {"type": "sepa_debit", "sepa_debit": {"iban": "DE89370400440532013000"}},
    "declined-sepa": {"type": "sepa_debit", "sepa_debit": {"iban": "DE62370400440532013001"}},
}
# Cards to save for payments without the buyer. The bank of `owner-card` always asks for the buyer.
SAVED_CARDS = {
    "card": "4242424242424242",
    "declined-card": "4000000000000341",
    "owner-card": "4000002760003184",
}
VALID_CARD = {"exp_month": 12, "exp_year": 2090, "cvc": "123"}


def save_card(setup: Any, card: str) -> None:
    """Complete a setup intent with one of SAVED_CARDS, as its owner does. Raises UserError."""
    if card not in SAVED_CARDS:
        raise UserError(400, f"Unknown card. Allowed: {', '.join(SAVED_CARDS)}")
    method = PaymentMethod(type="card", card={"number": SAVED_CARDS[card], **VALID_CARD})
    method.customer = setup.customer
    setup.payment_method = method.id
    setup.status = "succeeded"
