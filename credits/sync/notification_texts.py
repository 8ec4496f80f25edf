"""Texts of the notifications to users, in their language; German if it is unknown."""

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
Your balance is too low to renew Cloud Sync: {credits} credits are needed.
Cloud Sync is therefore paused. Your data stays on your devices.

Top up your credits and activate Cloud Sync again to continue syncing.
""",
    ),
}


def sync_paused(subscription: SyncSubscription, *, required: Decimal) -> dict[str, Any]:
    """Return the notification that sync was paused because `required` credits were missing.

    The recipient is the e-mail address that was sent to Stripe with a purchase; no other is known
    here. Without one the message has no recipient and is not mailed, but apps read `pausedAt`.
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
