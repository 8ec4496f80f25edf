"""Why Stripe rejects a refund, and what the operator can do, in place of Stripe's bare message."""

from collections.abc import Mapping

from credits.payments.stripe_errors import RefusedByStripe

DISPUTED = "The buyer disputes this payment, so the bank decides. Answer the dispute at Stripe."
REFUNDED = "The payment is refunded at Stripe already. Wait for the next reconciliation."
# Stripe's error codes: https://docs.stripe.com/error-codes
ADVICE: Mapping[str, str] = {
    "resource_missing": "Stripe does not know this payment: it belongs to another account of "
    "Stripe or to its test mode. Look the payment intent up at Stripe, and tell the engineers.",
    "charge_already_refunded": REFUNDED,
    "charge_disputed": DISPUTED,
    "refund_disputed_payment": DISPUTED,
    "balance_insufficient": "Our balance at Stripe is too low. Ask finance to top it up, "
    "then refund again.",
    "charge_not_refundable": "This payment method allows no refund any more. Agree on another way "
    "with the buyer.",
}
OTHERWISE = "Look the payment up at Stripe, and tell the engineers if it looks right there."


def explained(refusal: RefusedByStripe) -> str:
    """Return what the rejection of a refund means and what to do, with Stripe's message."""
    advice = ADVICE.get(refusal.reason, OTHERWISE)
    return f"Stripe rejected this; nothing was refunded. {advice} Stripe: “{refusal.text}”"
