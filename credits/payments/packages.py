"""Packages: what is offered, and every change of it with who made it.

A purchase copies price and credits at its start, so a change concerns only those that come later.
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
from credits.models import Package, PackageChange

# Stripe takes no less, and no more digits.
CHEAPEST_CENTS = 50
DEAREST_CENTS = 99_999_999
LARGEST_ORDER = 1_000_000
LARGEST_METADATA = 16 * 1024


class PackageUnknown(DomainError):
    """There is no such package, or it is no longer offered."""

    code = "package_not_found"
    status = 404
    message = "Package not found"


class InvalidPackage(DomainError):
    """What is no package. Details: the fields, each with what is wrong."""

    code = "invalid_package"
    message = "This is no package that can be offered"


class Offer(NamedTuple):
    """A package as buyers see it: so many credits for so many cents (EUR).

    `stripe_price_id` names the product at Stripe for reports; packages are listed by `sort_order`;
    `metadata` is any JSON object for the apps.
    """

    name: str
    credits: Decimal
    price_euro_cents: int
    description: str | None = None
    stripe_price_id: str | None = None
    sort_order: int = 0
    metadata: Mapping[str, Any] | None = None


def offered() -> QuerySet[Package]:
    """Return the packages that can be bought, in their order."""
    return Package.objects.filter(active=True).order_by("sort_order", "pk")


@transaction.atomic
def create(offer: Offer, *, actor: str, now: datetime) -> Package:
    """Offer a new package, with a row of history. Raises InvalidPackage, InvalidAmount."""
    package = Package(created_at=now, **_valid(offer)._asdict())
    package.save()
    _write_down(package, None, _state(package), actor, now)
    return package


@transaction.atomic
def change(package_id: UUID, offer: Offer, *, actor: str, now: datetime) -> Package:
    """Make a package what `offer` says, with a row of history; on offer or not, it stays so.

    The same again changes nothing. Raises PackageUnknown, InvalidPackage, InvalidAmount.
    """
    return _change(package_id, _valid(offer)._asdict(), actor, now)


@transaction.atomic
def retire(package_id: UUID, *, actor: str, now: datetime) -> Package:
    """Take a package off offer, with a row of history. Raises PackageUnknown."""
    return _change(package_id, {"active": False}, actor, now)


@transaction.atomic
def bring_back(package_id: UUID, *, actor: str, now: datetime) -> Package:
    """Offer a retired package again, with a row of history. Raises PackageUnknown."""
    return _change(package_id, {"active": True}, actor, now)


def _valid(offer: Offer) -> Offer:
    offer = offer._replace(name=offer.name.strip(), credits=positive(offer.credits))
    rules = {
        "name": 0 < len(offer.name) <= 100 and "\0" not in offer.name,
        "price_euro_cents": CHEAPEST_CENTS <= offer.price_euro_cents <= DEAREST_CENTS,
        "description": _is_text(offer.description, 500),
        "stripe_price_id": _is_text(offer.stripe_price_id, 255),
        "sort_order": abs(offer.sort_order) <= LARGEST_ORDER,
        "metadata": offer.metadata is None or _is_object(offer.metadata),
    }
    wrong: dict[str, Any] = {
        field: ["This cannot be offered."] for field, right in rules.items() if not right
    }
    if wrong:
        raise InvalidPackage(**wrong)
    return offer


def _is_text(text: str | None, longest: int) -> bool:
    return text is None or (0 < len(text) <= longest and "\0" not in text)


def _is_object(metadata: object) -> bool:
    text = json.dumps(metadata)
    return isinstance(metadata, dict) and len(text) <= LARGEST_METADATA and "\\u0000" not in text


def _change(package_id: UUID, new: Mapping[str, Any], actor: str, now: datetime) -> Package:
    package = Package.objects.select_for_update().filter(pk=package_id).first()
    if package is None:
        raise PackageUnknown
    before = _state(package)
    for field, value in new.items():
        setattr(package, field, value)
    after = _state(package)
    changed = {field for field in after if after[field] != before[field]}
    if changed:
        package.save()
        old, new = ({field: state[field] for field in changed} for state in (before, after))
        _write_down(package, old, new, actor, now)
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
