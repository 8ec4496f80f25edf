"""Texts of the notices about a user's own settings, in their language; German if it is unknown."""

from datetime import UTC
from decimal import Decimal
from typing import Any

from credits.amounts import plain
from credits.models import AccountSettings, CreditLot

LOW_BALANCE = {
    "de": (
        "Deine Credits gehen zur Neige",
        """\
Du hast noch {available} Credits. Du wolltest bei {threshold} Credits benachrichtigt werden.

Lade Credits auf, damit deine Apps weiterarbeiten können. Die Schwelle kannst du in den
Einstellungen deiner Credits ändern.
""",
    ),
    "en": (
        "Your credits are running low",
        """\
You have {available} credits left. You asked to be notified at {threshold} credits.

Top up your credits so that your apps can go on working. You can change the threshold in the
settings of your credits.
""",
    ),
}


EXPIRING = {
    "de": (
        "Credits von dir verfallen bald",
        """\
{amount} deiner Credits verfallen am {day} (UTC). Deine Apps verbrauchen sie zuerst.
""",
    ),
    "en": (
        "Some of your credits expire soon",
        """\
{amount} of your credits expire on {day} (UTC). Your apps use them first.
""",
    ),
}
DAYS = {"de": "%d.%m.%Y", "en": "%Y-%m-%d"}


def expiring_credits(lot: CreditLot, *, language: str) -> dict[str, Any]:
    """Return the notice that what is left of a lot expires soon."""
    subject, body = EXPIRING[language or "de"]
    expires_at = lot.expires_at.astimezone(UTC)
    day = expires_at.strftime(DAYS[language or "de"])
    return {
        "appId": "credits",
        "subject": subject,
        "body": body.format(amount=plain(lot.remaining), day=day),
        "data": {
            "type": "credits_expiring",
            "credits": plain(lot.remaining),
            "expiresAt": expires_at.isoformat().replace("+00:00", "Z"),
        },
    }


def low_balance(settings: AccountSettings, *, available: Decimal) -> dict[str, Any]:
    """Return the notice that the balance fell to the user's threshold."""
    threshold = plain(settings.low_balance)
    subject, body = LOW_BALANCE[settings.language or "de"]
    return {
        "appId": "credits",
        "subject": subject,
        "body": body.format(available=plain(available), threshold=threshold),
        "data": {
            "type": "low_balance",
            "threshold": threshold,
            "availableCredits": plain(available),
        },
    }
