"""Texts of the notices about automatic top-ups, in the user's language; German if unknown."""

from typing import Any

from credits.models import AutoTopUp

Pause = AutoTopUp.Pause
SUBJECTS = {
    "de": "Dein automatisches Aufladen ist pausiert",
    "en": "Your automatic top-up is paused",
}
REASONS = {
    "de": {
        Pause.NEEDS_OWNER: "Deine Bank verlangt, dass du die Zahlung selbst bestätigst.",
        Pause.DECLINED: "Deine Karte wurde abgelehnt.",
        Pause.MONEY_BACK: "Eine deiner Zahlungen wurde erstattet oder angefochten.",
        Pause.BLOCKED: "Dein Konto ist eingeschränkt.",
        Pause.OFFER_CHANGED: "Das vereinbarte Paket gibt es so nicht mehr.",
    },
    "en": {
        Pause.NEEDS_OWNER: "Your bank requires that you confirm the payment yourself.",
        Pause.DECLINED: "Your card was declined.",
        Pause.MONEY_BACK: "One of your payments was refunded or disputed.",
        Pause.BLOCKED: "Your account is restricted.",
        Pause.OFFER_CHANGED: "The package that you agreed to is no longer offered like that.",
    },
}
ENDS = {
    "de": "Es wird nichts mehr automatisch gekauft, bis du das Aufladen wieder einschaltest.",
    "en": "Nothing more is bought automatically until you switch the top-up on again.",
}


def top_up_paused(row: AutoTopUp) -> dict[str, Any]:
    """Return the notification that the automatic top-up was paused and why."""
    language = row.language or "de"
    reason = Pause(str(row.pause_reason))
    return {
        "appId": "credits",
        "subject": SUBJECTS[language],
        "body": f"{REASONS[language][reason]}\n\n{ENDS[language]}\n",
        "data": {"type": "top_up_paused", "reason": reason.value},
    }
