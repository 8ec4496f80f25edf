"""Previews of new prices and packages: old, new, factor, effect, and whether they wait."""

from datetime import datetime
from decimal import Decimal

from credits.amounts import counted
from credits.catalogue import catalogue
from credits.catalogue.catalogue import AnyPrice
from credits.models import Operation, Package
from credits.payments.packages import Offer
from mana_credits.back_office.acts import package_changes, price_changes
from mana_credits.back_office.admin import price_effects
from mana_credits.back_office.admin.price_effects import PriceEffect
from mana_credits.back_office.frame import operator_pages
from mana_credits.back_office.frame.row_pages import Facts
from mana_credits.back_office.templatetags.office import amount, euros


def of_price(found: Operation, new: AnyPrice, *, at: datetime) -> Facts:
    """Return the effect of a new price, with what the last 30 days would have cost."""
    effect = price_effects.of(found, new, today=at.date())
    facts: Facts = [
        ("Old price", price_changes.price_text(catalogue.price_of(found))),
        ("New price", price_changes.price_text(new)),
        ("Factor", _span(effect.lowest, effect.highest, 3)),
        ("Last 30 days", f"{counted(effect.charged, 'credit')} in {counted(effect.uses, 'use')}"),
        ("At the new price", _then(effect)),
    ]
    waits = price_changes.price_waits(found, new, now=at)
    return [*facts, ("Approval", operator_pages.WAITS)] if waits else facts


def of_package(found: Package | None, new: Offer) -> Facts:
    """Return the old and the new offer, with the price of one credit."""
    facts: Facts = [("Old offer", _offer(found))] if found else []
    facts.append(("New offer", _offer(new)))
    if found:
        before = Decimal(found.price_euro_cents) / found.credits
        facts.append(
            ("Factor of a credit's price", amount(new.price_euro_cents / new.credits / before, 3))
        )
    if package_changes.is_cheap(new.price_euro_cents, new.credits):
        facts.append(("Approval", operator_pages.WAITS))
    return facts


def _span(lowest: Decimal | None, highest: Decimal | None, places: int) -> str:
    low, high = amount(lowest, places), amount(highest, places)
    return low if low == high else f"{low} to {high}"


def _then(effect: PriceEffect) -> str:
    if effect.charged_then is None:
        return "unknown: the old price is not by the same units"
    return f"about {_span(*effect.charged_then, 1)} credits"


def _offer(sold: Package | Offer) -> str:
    each = Decimal(sold.price_euro_cents) / sold.credits
    days = sold.expires_after_days
    expiry = f", which expire after {counted(days, 'day')}" if days else ""
    return (
        f"{sold.name}: {counted(sold.credits, 'credit')} for {euros(sold.price_euro_cents)} "
        f"({counted(round(each, 2), 'cent')} a credit){expiry}"
    )
