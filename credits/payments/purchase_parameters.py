"""Parameters of calls to Stripe that are made from a purchase."""

from typing import Any

from credits.models import Purchase

PURCHASE_ID = "{PURCHASE_ID}"


def opening_key(purchase: Purchase) -> Any:
    """Return the options of a call that opens a purchase.

    The idempotency key includes the customer, because Stripe rejects a reused key with other
    parameters and the customer may be replaced between two attempts.
    """
    return {"idempotency_key": f"purchase-{purchase.pk}-{purchase.stripe_customer_id}"}


def metadata_of(purchase: Purchase) -> dict[str, str]:
    """Return the metadata by which events name the purchase."""
    return {
        "userId": purchase.user_id,
        "packageId": str(purchase.package_id),
        "purchaseId": str(purchase.pk),
    }


def naming(purchase: Purchase, url: str | None) -> str:
    """Return a return URL with the purchase's id in place of `{PURCHASE_ID}`."""
    return (url or "").replace(PURCHASE_ID, str(purchase.pk))
