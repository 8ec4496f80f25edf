"""Serializer fields of units and metered prices."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from credits.api.wire_fields import StrictIntegerField, number
from credits.catalogue import metered_prices

_COUNT = StrictIntegerField()
_UNIT_COSTS = {
    "type": "object",
    "propertyNames": {"pattern": metered_prices.UNIT_NAME},
    "additionalProperties": {"type": "number", "exclusiveMinimum": 0},
}
_UNITS = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": metered_prices.MOST_UNITS,
    "propertyNames": {"pattern": metered_prices.UNIT_NAME},
    "additionalProperties": {
        "type": "integer",
        "minimum": 0,
        "maximum": metered_prices.LARGEST_UNITS,
    },
}


@extend_schema_field(_UNITS)
class UnitsField(serializers.Field[dict[str, int], Any, Any, Any]):
    """Counts by unit name: the units used, or the largest expected ones."""

    default_error_messages = {"invalid": metered_prices.InvalidUnits.message}

    def to_internal_value(self, data: object) -> dict[str, int]:
        """Return the counts. Raise ValidationError unless names and counts are valid."""
        if not isinstance(data, dict):
            self.fail("invalid")
        try:
            units = {name: _COUNT.to_internal_value(count) for name, count in data.items()}
            metered_prices.require_units(units)
        except (serializers.ValidationError, metered_prices.InvalidUnits):
            self.fail("invalid")
        return units


@extend_schema_field(_UNIT_COSTS)
class UnitCostsField(serializers.Field[Any, Any, Any, Any]):
    """The credits per 1,000 units of a metered price, by unit name. Output only."""

    def to_representation(self, value: Mapping[str, Any]) -> dict[str, int | float]:
        """Return the mapping with JSON numbers."""
        return {name: number(Decimal(cost)) for name, cost in value["unitCosts"].items()}


@extend_schema_field({"type": ["number", "null"], "exclusiveMinimum": 0})
class MinimumField(serializers.Field[Any, Any, Any, Any]):
    """The minimum credits of a use at a metered price, or null. Output only."""

    def to_representation(self, value: Mapping[str, Any]) -> int | float | None:
        """Return a JSON number or None."""
        minimum = value["minimum"]
        return None if minimum is None else number(Decimal(minimum))


_price = (UnitCostsField(), MinimumField())


@extend_schema_field(
    {
        "type": "object",
        "required": ["units", "unitCosts", "minimum", "version", "unpaid"],
        "properties": {
            "units": _UNITS,
            "unitCosts": _UNIT_COSTS,
            "minimum": {"type": ["number", "null"]},
            "version": {"type": "integer"},
            "unpaid": {"type": "number"},
        },
    }
)
class MeteringField(serializers.Field[Any, Any, Any, Any]):
    """How a price by units was computed. Output only."""

    def __init__(self) -> None:
        super().__init__(
            required=False,
            help_text="How a price by units was computed. Absent for any other transaction.",
        )

    def to_representation(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return the units, the costs per 1,000, the minimum, the version and what is unpaid."""
        unit_costs, minimum = (field.to_representation(value) for field in _price)
        return {
            "units": value["units"],
            "unitCosts": unit_costs,
            "minimum": minimum,
            "version": value["version"],
            "unpaid": number(metered_prices.unpaid(value)),
        }
