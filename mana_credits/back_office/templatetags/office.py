"""Template filters for amounts, times and rows in the back office."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

from django import template
from django.conf import settings

from credits import amounts
from credits.amounts import noun
from credits.catalogue.metered_prices import explanation
from credits.models import ActRequest, AdjustmentRequest

register = template.Library()
Part = dict[str, Any]

NOTHING = "–"  # stands for a value that is missing


@register.filter
def amount(value: Decimal | int | None, places: int = 4) -> str:
    """Return credits with thousands separators and without trailing zeros: `1,234.5`.

    With fewer `places` than 4 the amount is rounded, for overviews.
    """
    if value is None:
        return NOTHING
    text = f"{Decimal(value):,.{places}f}"
    text = text.rstrip("0").rstrip(".") if places else text
    return "0" if text in {"", "-0"} else text.replace("-", "−")


@register.filter("credits")
def in_credits(value: Decimal) -> str:
    """Return an amount of credits with its noun."""
    return f"{amount(value)} {noun(value, 'credit')}"


@register.filter
def signed(value: Decimal | None) -> str:
    """Return a movement of credits with its sign: `+5`, `−0.1`."""
    if value is None:
        return ""
    return amount(value) if value <= 0 else f"+{amount(value)}"


@register.filter
def signed_credits(value: Decimal) -> str:
    """Return a movement of credits with its sign and noun: `+1 credit`, `−0.1 credits`."""
    return f"{signed(value)} {noun(abs(value), 'credit')}"


@register.filter
def euros(cents: int | None) -> str:
    """Return cents as euros: `€4.99`."""
    return NOTHING if cents is None else amounts.euros(cents)


@register.filter
def metered(metering: dict[str, Any]) -> str:
    """Return how a price by units was computed."""
    return explanation(metering)


@register.filter
def moment(value: datetime | None) -> str:
    """Return a time as `2026-11-23 09:05:12` (UTC)."""
    return NOTHING if value is None else f"{value:%Y-%m-%d %H:%M:%S}"


@register.filter
def pretty(value: Any) -> str:
    """Return indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


# States whose names in the database differ from the words on the users' pages.
PLAIN = {"depleted": "redeemed", "gone": "money back"}


@register.filter
def words(value: str) -> str:
    """Return a code name as words: `credits.adjust_balance` becomes `adjust balance`."""
    return PLAIN.get(value) or value.rpartition(".")[2].replace("_", " ")


@register.filter
def actor(value: str) -> str:
    """Return an actor in words: `operator:ada` becomes `operator ada`."""
    return value.replace(":", " ", 1)


TONES = {
    "good": {
        "active",
        "completed",
        "purchase",
        "grant",
        "approved",
        "delivered",
        "applied",
        "reinstatement",
        "granted",
    },
    "bad": {
        "failed",
        "clawback",
        "disputed",
        "dead",
        "parked",
        "rejected",
        "cancelled",
        "gone",
        "error",
        "revoked",
        "refused",
        "had_another_amount",
        "unreadable",
    },
    "warn": {
        "pending",
        "processing",
        "open",
        "paused",
        "requested",
        "partially_refunded",
        "quarantined",
        "running",
        "waiting",
        "left_out",
        "expiry",
    },
    "info": {"refunded", "refund", "reversal", "adjustment", "gift", "returned", "depleted"},
}


@register.filter
def tone(status: str) -> str:
    """Return the colour of a status or type: good, bad, warn, info or none."""
    return next((name for name, known in TONES.items() if status in known), "")


@register.filter
def named_by_menu(parts: list[Part]) -> list[Part]:
    """Return the parts of a page's title, with a list's name in the menu, and without its app."""
    titles = menu_titles()
    shown = [{**one, "title": titles.get(str(one.get("link")), one["title"])} for one in parts]
    return shown[1:] if len(shown) > 1 and str(shown[1].get("link")) in titles else shown


def menu_titles() -> dict[str, str]:
    """Return the titles of the menu by address."""
    theme: dict[str, Any] = settings.UNFOLD
    groups = theme["SIDEBAR"]["navigation"]
    return {str(item["link"]): item["title"] for group in groups for item in group["items"]}


@register.inclusion_tag("back_office/waiting.html")
def requests_about(subject: str, pk: object = None) -> dict[str, Any]:
    """Return the requests about a row that wait for approval: `KIND:ID`, or a kind and an id."""
    subject = f"{subject}:{pk}" if pk else subject
    # Else two colleagues ask for the same act, and the second one learns it from an error.
    about = ActRequest.objects.filter(subject=subject, status=ActRequest.Status.PENDING)
    return {"waiting": about.order_by("pk") if subject else ()}


@register.filter
def opposite(value: Decimal) -> Decimal:
    """Return the amount with the opposite sign."""
    return -value


@register.filter
def reason(name: str) -> str:
    """Return the label of an adjustment's reason, or another act's reason in words."""
    known = AdjustmentRequest.Reason
    return str(known(name).label) if name in known else words(name)
