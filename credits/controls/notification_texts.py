"""Texts of the notices about a user's own settings, in their language; German if it is unknown."""

from decimal import Decimal
from typing import Any

from credits.amounts import plain
from credits.models import AccountSettings

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
