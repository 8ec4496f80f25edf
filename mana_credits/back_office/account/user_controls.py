"""A user's own settings, and the times of their changes: limits, notice, automatic top-up."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from credits.controls import account_settings
from credits.controls.account_settings import CurrentSettings
from credits.models import AutoTopUp, Purchase, SettingsChange
from credits.payments import auto_top_up
from mana_credits.back_office.templatetags.office import euros

SHOWN = 10
PAUSES = {
    AutoTopUp.Pause.NEEDS_OWNER: "the card needs its owner's confirmation",
    AutoTopUp.Pause.DECLINED: "the card was declined repeatedly",
    AutoTopUp.Pause.MONEY_BACK: "money of an automatic purchase went back",
    AutoTopUp.Pause.BLOCKED: "the user is blocked",
    AutoTopUp.Pause.OFFER_CHANGED: "the package has another price or is no longer offered",
}


class ShownChange(NamedTuple):
    """A change of the settings in words, as `name: before → after`."""

    row: SettingsChange
    values: list[str]


class UserControls(NamedTuple):
    """A user's settings with what was spent this month, and the automatic top-up.

    `purchases` and `changes` are the newest ones.
    """

    settings: CurrentSettings
    top_up: AutoTopUp | None
    purchases: list[Purchase]
    changes: list[ShownChange]

    @property
    def pause(self) -> str:
        """Return why the top-up is paused, or "" if it is not."""
        reason = self.top_up and self.top_up.pause_reason
        return PAUSES[AutoTopUp.Pause(reason)] if reason else ""

    @property
    def card(self) -> str:
        """Return the brand and the last 4 digits of the saved card."""
        row = self.top_up
        if row is None or row.card_last4 is None:
            return "saved at Stripe"
        brand = (row.card_brand or "card").replace("_", " ").capitalize()
        return f"{brand} •••• {row.card_last4}"


def of(user_id: str, *, now: datetime) -> UserControls | None:
    """Return the user's settings, or None for a user who never changed any."""
    changes = SettingsChange.objects.filter(user_id=user_id).order_by("-id")[:SHOWN]
    found = UserControls(
        account_settings.of_user(user_id, now=now),
        auto_top_up.of_user(user_id),
        list(auto_top_up.purchases_of(user_id)[:SHOWN]),
        [ShownChange(row, list(_differences(row))) for row in changes],
    )
    is_set = found.settings.updated_at or found.top_up or found.purchases or found.changes
    return found if is_set else None


def _differences(row: SettingsChange) -> Iterator[str]:
    before, after = row.before or {}, row.after or {}
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            values = (_value(name, one.get(name)) for one in (before, after))
            yield f"{_words(name)}: {' → '.join(values)}"


def _words(name: str) -> str:
    """Return a name of the wire as words: `monthlyLimit` becomes `monthly limit`."""
    name = name.removesuffix("EuroCents").replace("Last4", "LastDigits")
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)


def _value(name: str, value: Any) -> str:
    if name == "priceEuroCents":
        return euros(value)
    # Before numbers: in Python, True is the number 1.
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name} {one}" for name, one in sorted(value.items())) or "none"
    return "none" if value is None else str(value)
