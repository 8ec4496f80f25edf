"""Texts of the notices about a user's own settings, in their language; German if it is unknown."""

from datetime import UTC
from decimal import Decimal
from typing import Any

from credits.amounts import plain, with_unit
from credits.models import AccountSettings, CreditLot

LOW_BALANCE = {
    "de": (
        "Deine Credits gehen zur Neige",
        """\
Du hast noch {available}. Du wolltest bei {threshold} benachrichtigt werden.

Lade Credits auf, damit deine Apps weiterarbeiten können. Die Schwelle kannst du in den
Einstellungen deiner Credits ändern.
""",
    ),
    "en": (
        "Your credits are running low",
        """\
You have {available} left. You asked to be notified at {threshold}.

Top up your credits so that your apps can go on working. You can change the threshold in the
settings of your credits.
""",
    ),
}


EXPIRING = {
    "de": (
        "Credits von dir verfallen bald",
        """\
Du hast bis {day} (UTC) Zeit, {amount} zu verbrauchen. Deine Apps verbrauchen zuerst, was zuerst
verfällt.
""",
    ),
    "en": (
        "Some of your credits expire soon",
        """\
You have until {day} (UTC) to use {amount}. Your apps use first what expires first.
""",
    ),
}
DAYS = {"de": "%d.%m.%Y", "en": "%Y-%m-%d"}


def expiring_credits(lot: CreditLot, *, language: str) -> dict[str, Any]:
    """Return the notice that what is left of a lot expires soon."""
    language = language or "de"
    subject, body = EXPIRING[language]
    expires_at = lot.expires_at.astimezone(UTC)
    day = expires_at.strftime(DAYS[language])
    return {
        "appId": "credits",
        "subject": subject,
        "body": body.format(amount=with_unit(lot.remaining, language=language), day=day),
        "data": {
            "type": "credits_expiring",
            "credits": plain(lot.remaining),
            "expiresAt": expires_at.isoformat().replace("+00:00", "Z"),
        },
    }


def low_balance(settings: AccountSettings, *, available: Decimal) -> dict[str, Any]:
    """Return the notice that the balance fell to the user's threshold."""
    language = settings.language or "de"
    subject, body = LOW_BALANCE[language]
    threshold = with_unit(settings.low_balance, language=language)
    return {
        "appId": "credits",
        "subject": subject,
        "body": body.format(available=with_unit(available, language=language), threshold=threshold),
        "data": {
            "type": "low_balance",
            "threshold": plain(settings.low_balance),
            "availableCredits": plain(available),
        },
    }
