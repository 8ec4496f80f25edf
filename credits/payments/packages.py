"""Packages: the offers, and a record of every change with its actor.

A purchase copies the price and the credits when it starts, so a change affects later ones only.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from credits.amounts import plain, positive
from credits.errors import DomainError
from credits.ledger.credit_lots import LONGEST_VALIDITY
from credits.models import AutoTopUp, Package, PackageChange

# Stripe's smallest amount in euros, and its limit of eight digits.
CHEAPEST_CENTS = 50
DEAREST_CENTS = 99_999_999
LARGEST_ORDER = 1_000_000
LARGEST_METADATA = 16 * 1024
AGREED = ("credits", "price_euro_cents", "expires_after_days")  # the terms of an automatic top-up


class PackageUnknown(DomainError):
    """The package is unknown or no longer offered."""

    code = "package_not_found"
    status = 404
    message = "Package not found"


class InvalidPackage(DomainError):
    """A field of the package is invalid. Details: the errors by field."""

    code = "invalid_package"
    message = "The package is invalid"


class Offer(NamedTuple):
    """The fields of a package: `credits` for `price_euro_cents`.

    The credits of a purchase expire `expires_after_days` after it is paid; None means never.
    `name_de` and `description_de` are the German texts, if they differ. `stripe_price_id` refers to
    the product at Stripe, for reports only. Packages are listed by `sort_order`. `metadata` is a
    JSON object for the apps.
    """

    name: str
    credits: Decimal
    price_euro_cents: int
    description: str | None = None
    stripe_price_id: str | None = None
    sort_order: int = 0
    metadata: Mapping[str, Any] | None = None
    name_de: str | None = None
    description_de: str | None = None
    expires_after_days: int | None = None


def offered() -> QuerySet[Package]:
    """Return the packages on offer, in their order."""
    return Package.objects.filter(active=True).order_by("sort_order", "pk")


@transaction.atomic
def create(offer: Offer, *, actor: str, now: datetime) -> Package:
    """Create a package on offer and record the change. Raises InvalidPackage, InvalidAmount."""
    package = Package(created_at=now, **_valid(offer)._asdict())
    package.save()
    _write_down(package, None, _state(package), actor, now)
    return package


@transaction.atomic
def change(package_id: UUID, offer: Offer, *, actor: str, now: datetime) -> Package:
    """Set the fields of a package and record the change. Whether it is on offer does not change.

    Equal values change nothing. Raises PackageUnknown, InvalidPackage, InvalidAmount.
    """
    return _change(package_id, _valid(offer)._asdict(), actor, now)


@transaction.atomic
def retire(package_id: UUID, *, actor: str, now: datetime) -> Package:
    """Withdraw a package and record the change. Raises PackageUnknown."""
    return _change(package_id, {"active": False}, actor, now)


@transaction.atomic
def bring_back(package_id: UUID, *, actor: str, now: datetime) -> Package:
    """Offer a withdrawn package again and record the change. Raises PackageUnknown."""
    return _change(package_id, {"active": True}, actor, now)


def _valid(offer: Offer) -> Offer:
    offer = offer._replace(name=offer.name.strip(), credits=positive(offer.credits))
    rules = {
        "name": 0 < len(offer.name) <= 100 and "\0" not in offer.name,
        "price_euro_cents": CHEAPEST_CENTS <= offer.price_euro_cents <= DEAREST_CENTS,
        "description": _is_text(offer.description, 500),
        "name_de": _is_text(offer.name_de, 100),
        "description_de": _is_text(offer.description_de, 500),
        "stripe_price_id": _is_text(offer.stripe_price_id, 255),
        "sort_order": abs(offer.sort_order) <= LARGEST_ORDER,
        "expires_after_days": offer.expires_after_days is None
        or 0 < offer.expires_after_days <= LONGEST_VALIDITY.days,
        "metadata": offer.metadata is None or _is_object(offer.metadata),
    }
    wrong: dict[str, Any] = {
        field: ["This value is invalid."] for field, right in rules.items() if not right
    }
    if wrong:
        raise InvalidPackage(**wrong)
    return offer


def _is_text(text: str | None, longest: int) -> bool:
    return text is None or (0 < len(text) <= longest and "\0" not in text)


def _is_object(metadata: object) -> bool:
    # Dumped as ASCII, so U+0000, which jsonb cannot store, is the text `\u0000`.
    text = json.dumps(metadata)
    return isinstance(metadata, dict) and len(text) <= LARGEST_METADATA and "\\u0000" not in text


def _change(package_id: UUID, new: Mapping[str, Any], actor: str, now: datetime) -> Package:
    # The lock keeps the recorded differences complete: a concurrent change waits and starts from
    # these values. `no_key`: a top-up that holds its agreement and inserts a purchase must not
    # wait for it.
    package = Package.objects.select_for_update(no_key=True).filter(pk=package_id).first()
    if package is None:
        raise PackageUnknown
    before = _state(package)
    for field, value in new.items():
        setattr(package, field, value)
    after = _state(package)
    changed = {field for field in after if after[field] != before[field]}
    # A form that was sent without a change leaves no trace in the history.
    if changed:
        package.save()
        old, new = ({field: state[field] for field in changed} for state in (before, after))
        _write_down(package, old, new, actor, now)
    if changed & {*AGREED, "active"}:
        # The worker pauses the top-ups that were agreed to at other terms, and tells their users.
        AutoTopUp.objects.filter(package=package, paused_at=None).update(due_at=now)
    return package


def _state(package: Package) -> dict[str, Any]:
    fields = {field: getattr(package, field) for field in (*Offer._fields, "active")}
    return {**fields, "credits": plain(package.credits)}


def _write_down(
    package: Package,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any],
    actor: str,
    now: datetime,
) -> None:
    PackageChange.objects.create(
        package=package, before=before, after=after, actor=actor, changed_at=now
    )
