"""The changes of a package in words."""

from collections.abc import Iterator

from credits.models import PackageChange
from mana_credits.back_office.templatetags.office import NOTHING, euros

PACKAGE_FIELDS = {
    "name": "name",
    "description": "description",
    "name_de": "German name",
    "description_de": "German description",
    "credits": "credits",
    "price_euro_cents": "price",
    "expires_after_days": "days until the credits expire",
    "stripe_price_id": "price at Stripe",
    "active": "offered",
    "sort_order": "order",
    "metadata": "metadata",
}


def differences(change: PackageChange) -> Iterator[str]:
    """Yield each changed field with its values; of a new package, all its fields."""
    before, after = change.before or {}, change.after
    for name, label in PACKAGE_FIELDS.items():
        values = [_written(name, one.get(name)) for one in (before, after)]
        if name in after and values[0] != values[1]:
            yield f"{label} {' → '.join(values if change.before else values[1:])}"


def _written(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value in {None, ""}:
        return NOTHING
    return euros(int(str(value))) if name == "price_euro_cents" else str(value)
