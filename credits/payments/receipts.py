"""Receipts: the URLs of Stripe's receipt and invoice of a purchase."""

from django.db.models import Q

from credits import pseudonyms
from credits.models import Purchase
from credits.payments import purchases
from credits.payments.stripe_facts import Payment, Receipt


def record(receipt: Receipt) -> Purchase | None:
    """Store the URLs of a receipt or an invoice; return the purchase, if any.

    Nothing is stored if another payment intent paid the purchase, or if the buyer was erased.
    """
    named = Payment(receipt.intent_id, None, receipt.purchase_id, 0, "", "")
    purchase = purchases.of_payment(named)
    found = {"receipt_url": receipt.receipt_url, "invoice_url": receipt.invoice_url}
    known = {name: url for name, url in found.items() if url}
    if purchase and known and not pseudonyms.is_erased(purchase.user_id):
        # A second payment of a quarantined purchase has a receipt too, which must not replace the
        # first.
        own = Q(stripe_payment_intent_id=None) | Q(stripe_payment_intent_id=receipt.intent_id)
        # With the user id: an erasure may have moved the row since it was read.
        rows = Purchase.objects.filter(pk=purchase.pk, user_id=purchase.user_id)
        (rows.filter(own) if receipt.intent_id else rows).update(**known)
    return purchase
