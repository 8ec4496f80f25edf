"""Metered prices: what an operation costs per 1,000 units, such as tokens.

A price is stored as JSON, with amounts as texts, so that no amount passes through a float. The
database functions `credits.price` and `credits.metered_price` (`credits/ledger/sql/`) read it.
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from credits.amounts import plain, positive
from credits.errors import DomainError

UNIT_PLACES = 8
LARGEST_UNIT_COST = Decimal(1_000_000)
LARGEST_UNITS = 10**12
MOST_UNITS = 16
UNIT_NAME = r"^[a-z][A-Za-z0-9]{0,63}$"
_is_name = re.compile(UNIT_NAME).fullmatch
_STEP = Decimal(1).scaleb(-UNIT_PLACES)


class InvalidUnits(DomainError):
    """Units must have 1 to 16 camelCase names with counts of 0 to 10^12."""

    code = "invalid_units"
    field = "units"
    message = "Units are 1 to 16 names in camelCase, each with a whole number of 0 to 10^12"


class UnitsRequired(DomainError):
    """The operation or reservation is priced by units, but no units were given."""

    code = "units_required"
    field = "units"
    message = "This operation is priced by units: send the units"


class OperationNotMetered(DomainError):
    """Units were given for an operation or reservation without prices by units."""

    code = "operation_not_metered"
    field = "units"
    message = "This operation has no prices by units"


class UnknownUnit(DomainError):
    """The operation or reservation has no price for one of the given units."""

    code = "unknown_unit"
    field = "units"
    message = "The operation has no price for one of these units"


class InvalidUnitCosts(DomainError):
    """A metered price needs 1 to 16 units with costs below 1,000,000 and 8 decimal places."""

    code = "invalid_unit_costs"
    message = (
        "A price by units has 1 to 16 camelCase names, each with a cost of more than 0 and less "
        "than 1,000,000 credits per 1,000 units, with at most 8 decimal places"
    )


class MeteredPrice(NamedTuple):
    """A price by units: credits per 1,000 units by their name, and at least `minimum` credits.

    With `may_overdraw`, a commit above its hold may take available below zero.
    """

    unit_costs: Mapping[str, Decimal]
    minimum: Decimal | None = None
    may_overdraw: bool = False


def units_text(units: Mapping[str, int]) -> str:
    """Return the text of units in a fingerprint, which does not depend on their order."""
    return json.dumps(units, sort_keys=True)


def require_units(units: Mapping[str, int]) -> Mapping[str, int]:
    """Return the units. Raise InvalidUnits unless names, counts and their number are valid."""
    valid = 1 <= len(units) <= MOST_UNITS and all(
        _is_name(name) and 0 <= count <= LARGEST_UNITS for name, count in units.items()
    )
    if not valid:
        raise InvalidUnits
    return units


def as_json(price: MeteredPrice) -> dict[str, Any]:
    """Return the price as it is stored. Raises InvalidUnitCosts, InvalidAmount."""
    costs = price.unit_costs
    if not 1 <= len(costs) <= MOST_UNITS or not all(
        _is_name(name) and _is_cost(cost) for name, cost in costs.items()
    ):
        raise InvalidUnitCosts
    return {
        "unitCosts": {name: plain(cost) for name, cost in costs.items()},
        "minimum": None if price.minimum is None else plain(positive(price.minimum)),
        "mayOverdraw": price.may_overdraw,
    }


def from_json(stored: Mapping[str, Any]) -> MeteredPrice:
    """Return the price that `as_json` stored, or that of a transaction or reservation."""
    minimum = stored["minimum"]
    return MeteredPrice(
        {name: Decimal(cost) for name, cost in stored["unitCosts"].items()},
        None if minimum is None else Decimal(minimum),
        stored["mayOverdraw"],
    )


def explanation(metering: Mapping[str, Any]) -> str:
    """Return how a transaction or reservation was priced, in English."""
    costs = metering["unitCosts"]
    used = [f"{n:,} {unit} at {costs[unit]} per 1,000" for unit, n in metering["units"].items()]
    least = [f"at least {metering['minimum']}"] if metering["minimum"] else []
    missing = [f"{plain(unpaid(metering))} unpaid"] if unpaid(metering) else []
    return ", ".join([*used, *least, *missing])


def unpaid(metering: Mapping[str, Any]) -> Decimal:
    """Return the credits of a transaction's price that could not be taken."""
    return Decimal(metering.get("unpaid", 0))


def _is_cost(cost: Decimal) -> bool:
    # In this order: comparing NaN with `<` and quantizing a very large number raise
    # InvalidOperation.
    return cost.is_finite() and 0 < cost < LARGEST_UNIT_COST and cost == cost.quantize(_STEP)
