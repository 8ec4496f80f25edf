"""Serializers of the public catalogue of prices."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from credits.api.metered_fields import MinimumField, UnitCostsField
from credits.api.wire_fields import AmountField, TextField, TimestampField, number
from credits.api.wire_serializers import WireSerializer
from credits.models import Operation


class OperationSerializer(WireSerializer):
    """An operation and its price: `cost` credits, or that for each started batch of `perItems`.

    The `cost` of a metered operation is null. A use costs its units at `unitCosts`, and at least
    `minimum`.
    """

    operation = TextField(source="key", help_text="The operation's key, for `use` and `reserve`.")
    name = TextField(help_text="A name for people.")
    nameDe = TextField(
        source="name_de",
        allow_null=True,
        help_text="The German name of an operation that was added later, if it differs.",
    )
    description = TextField(help_text="A description of the operation.")
    category = serializers.ChoiceField(
        choices=Operation.Category.choices, help_text="The kind of operation."
    )
    app = TextField(help_text="The app that offers it.")
    cost = AmountField(
        allow_null=True,
        help_text="Credits for one, or for each started batch of `perItems`; null if metered.",
    )
    perItems = serializers.IntegerField(
        source="per_items",
        allow_null=True,
        help_text="The number of items in a batch; null if the cost is per item.",
    )
    unitCosts = UnitCostsField(
        source="metering",
        required=False,
        help_text="Credits per 1,000 units, by unit name. Present only for metered operations.",
    )
    minimum = MinimumField(
        source="metering",
        required=False,
        help_text="The minimum credits of a use, or null. Present only for metered operations.",
    )


@extend_schema_field({"type": "object", "additionalProperties": {"type": "number"}})
class CostsField(serializers.Field[Any, Any, Any, Any]):
    """A read-only JSON object that maps the key of each operation with a cost to that cost."""

    def to_representation(self, value: Any) -> dict[str, int | float]:
        """Return the mapping."""
        return {one.key: number(one.cost) for one in value if one.cost is not None}


class PricingSerializer(WireSerializer):
    """All prices by operation. Only the list of operations shows which prices are per batch."""

    operationCosts = CostsField(
        source="operations", help_text="Credits by the key of the operation."
    )
    lastUpdated = TimestampField(
        source="updated_at", allow_null=True, help_text="When a price last changed."
    )


OPERATION = OperationSerializer()
PRICING = PricingSerializer()
