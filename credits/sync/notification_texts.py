"""What users are told by mana-notify, in their language: German unless another one is known."""

from decimal import Decimal
from typing import Any

from credits.amounts import plain
from credits.models import StripeCustomer, SyncSubscription

SYNC_PAUSED = {
    "de": (
        "Cloud Sync wurde pausiert",
        """\
Deine Credits reichen nicht aus, um Cloud Sync zu verlängern: {credits} Credits werden gebraucht.
Cloud Sync ist deshalb pausiert. Deine Daten bleiben auf deinen Geräten erhalten.

Lade Credits auf und aktiviere Cloud Sync wieder, um weiter zu synchronisieren.
""",
    ),
    "en": (
        "Cloud Sync was paused",
        """\
Your credits do not suffice to renew Cloud Sync: {credits} credits are needed.
Cloud Sync is therefore paused. Your data stays on your devices.

Top up your credits and activate Cloud Sync again to go on syncing.
""",
    ),
}


def sync_paused(subscription: SyncSubscription, *, required: Decimal) -> dict[str, Any]:
    """Return the notification that a renewal over `required` credits could not be paid.

    The only address that is known here is the one of a buyer: what Stripe was given. Without it
    the mail reaches nobody; apps read `pausedAt`.
    """
    subject, body = SYNC_PAUSED[subscription.language or "de"]
    buyer = StripeCustomer.objects.filter(user_id=subscription.user_id).first()
    recipient = {"recipient": buyer.email} if buyer and buyer.email else {}
    return {
        "channel": "email",
        "appId": "sync",
        "userId": subscription.user_id,
        **recipient,
        "subject": subject,
        "body": body.format(credits=plain(required)),
        "data": {
            "type": "sync_paused",
            "interval": subscription.interval,
            "requiredCredits": plain(required),
        },
    }
