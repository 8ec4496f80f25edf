"""Serializers of the public catalogue of prices."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from credits.api.wire_fields import Amount, Text, Timestamp, number
from credits.api.wire_serializers import WireSerializer
from credits.models import Operation


class OperationSerializer(WireSerializer):
    """An operation and its price: `cost` credits, or that for each started batch of `perItems`."""

    operation = Text(source="key", help_text="The operation's key, for `use` and `reserve`.")
    name = Text(help_text="A name for people.")
    description = Text(help_text="A description of the operation.")
    category = serializers.ChoiceField(
        choices=Operation.Category.choices, help_text="The kind of operation."
    )
    app = Text(help_text="The app that offers it.")
    cost = Amount(help_text="Credits for one, or for each started batch of `perItems`.")
    perItems = serializers.IntegerField(
        source="per_items",
        allow_null=True,
        help_text="The number of items in a batch; null if the cost is per item.",
    )


@extend_schema_field({"type": "object", "additionalProperties": {"type": "number"}})
class Costs(serializers.Field[Any, Any, Any, Any]):
    """A read-only JSON object that maps the key of each operation to its cost."""

    def to_representation(self, value: Any) -> dict[str, int | float]:
        """Return the mapping."""
        return {operation.key: number(operation.cost) for operation in value}


class PricingSerializer(WireSerializer):
    """All prices by operation. Only the list of operations shows which prices are per batch."""

    operationCosts = Costs(source="operations", help_text="Credits by the key of the operation.")
    lastUpdated = Timestamp(
        source="updated_at", allow_null=True, help_text="When a price last changed."
    )


OPERATION = OperationSerializer()
PRICING = PricingSerializer()
