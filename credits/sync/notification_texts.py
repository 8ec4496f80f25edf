"""Texts of the notifications to users, in their language; German if it is unknown."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from credits.amounts import plain, with_unit
from credits.models import SyncSubscription

SYNC_PAUSED = {
    "de": (
        "Cloud Sync wurde pausiert",
        """\
Deine Credits reichen nicht aus, um Cloud Sync zu verlängern: Du brauchst {credits}.
Cloud Sync ist deshalb pausiert. Deine Daten bleiben auf deinen Geräten erhalten.

Lade Credits auf und aktiviere Cloud Sync wieder, um weiter zu synchronisieren.
""",
    ),
    "en": (
        "Cloud Sync was paused",
        """\
Your balance is too low to renew Cloud Sync: you need {credits}.
Cloud Sync is therefore paused. Your data stays on your devices.

Top up your credits and activate Cloud Sync again to continue syncing.
""",
    ),
}

SYNC_STOPPED_BY_LIMIT = {
    "de": (
        "Cloud Sync wurde pausiert",
        """\
Dein monatliches Ausgabenlimit von {credits} ist erreicht, deshalb wurde Cloud Sync nicht
verlängert und ist pausiert. Deine Daten bleiben auf deinen Geräten erhalten.

Erhöhe das Limit und aktiviere Cloud Sync wieder, um weiter zu synchronisieren.
""",
    ),
    "en": (
        "Cloud Sync was paused",
        """\
Your monthly spending limit of {credits} is reached. Cloud Sync was therefore not renewed
and is paused. Your data stays on your devices.

Raise the limit and activate Cloud Sync again to continue syncing.
""",
    ),
}


def sync_paused(subscription: SyncSubscription, *, required: Decimal) -> dict[str, Any]:
    """Return the notification that sync was paused because `required` credits were missing."""
    message = _message(subscription, SYNC_PAUSED, required)
    return {
        **message,
        "data": {
            "type": "sync_paused",
            "interval": subscription.interval,
            "requiredCredits": plain(required),
        },
    }


def sync_stopped_by_limit(subscription: SyncSubscription, *, limit: Decimal) -> dict[str, Any]:
    """Return the notification that sync was paused by the user's spending `limit` in credits."""
    message = _message(subscription, SYNC_STOPPED_BY_LIMIT, limit)
    return {
        **message,
        "data": {
            "type": "sync_paused",
            "interval": subscription.interval,
            "spendingLimit": plain(limit),
        },
    }


def _message(
    subscription: SyncSubscription, texts: Mapping[str, tuple[str, str]], amount: Decimal
) -> dict[str, Any]:
    language = subscription.language or "de"
    subject, body = texts[language]
    return {
        "appId": "sync",
        "subject": subject,
        "body": body.format(credits=with_unit(amount, language=language)),
    }
