"""Matches of Stripe's payments with purchases, and the faults that put a purchase in quarantine."""

from typing import Any

from django.db.models import QuerySet

from credits.amounts import euros
from credits.models import Purchase
from credits.payments import stripe_api
from credits.payments.stripe_facts import Payment


def find_match(payment: Payment, rows: QuerySet[Purchase]) -> Purchase | None:
    """Return the purchase among `rows` that a payment belongs to, or None."""
    # Stripe's ids first: the purchase's id is metadata, which can be edited at Stripe.
    names: list[dict[str, Any]] = [
        {"stripe_payment_intent_id": payment.intent_id},
        {"stripe_checkout_session_id": payment.session_id},
        {"pk": payment.purchase_id},
    ]
    # Without this, a payment without a session would match every purchase without one.
    known = [name for name in names if None not in name.values()]
    return next((found for name in known if (found := rows.filter(**name).first())), None)


def is_own_payment(purchase: Purchase, payment: Payment) -> bool:
    """Return whether a payment is the one that was opened for the purchase."""
    # Checkout creates the payment intent when the buyer pays, so the first report brings its id.
    return purchase.stripe_payment_intent_id in {None, payment.intent_id} or (
        payment.session_id is not None and payment.session_id == purchase.stripe_checkout_session_id
    )


def fault_of(purchase: Purchase, payment: Payment) -> str | None:
    """Return why a successful payment must not credit the purchase, or None."""
    paid = (payment.amount_cents, payment.currency)
    # The amount is compared although we sent it: a payment may be captured in part, or be edited at
    # Stripe.
    if paid != (purchase.price_euro_cents, stripe_api.CURRENCY):
        return (
            f"Stripe reports {_money(payment.amount_cents, payment.currency)} of "
            f"{payment.intent_id}, the price is "
            f"{_money(purchase.price_euro_cents, stripe_api.CURRENCY)}."
        )
    if payment.intent_id is None or not is_own_payment(purchase, payment):
        expected = purchase.stripe_payment_intent_id
        return f"Paid by the payment {payment.intent_id}, but {expected} was expected."
    return None


def _money(cents: int, currency: str) -> str:
    """Return an amount as people write it; of another currency in its smallest units."""
    # Some currencies have no cents, and Stripe's amounts are in the smallest unit of each.
    if currency == stripe_api.CURRENCY:
        return euros(cents)
    return f"{cents} smallest units of {currency.upper()}"
