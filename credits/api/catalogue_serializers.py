"""What anybody reads about prices."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from credits.api.wire_fields import Amount, Text, Timestamp, number
from credits.api.wire_serializers import WireSerializer
from credits.models import Operation


class OperationSerializer(WireSerializer):
    """An operation and its price: `cost` credits, for each started `perItems` items if given."""

    operation = Text(source="key")
    name = Text()
    description = Text()
    category = serializers.ChoiceField(choices=Operation.Category.choices)
    app = Text()
    cost = Amount()
    perItems = serializers.IntegerField(source="per_items", allow_null=True)


@extend_schema_field({"type": "object", "additionalProperties": {"type": "number"}})
class Costs(serializers.Field[Any, Any, Any, Any]):
    """Operations as an object from key to cost, only sent."""

    def to_representation(self, value: Any) -> dict[str, int | float]:
        """Return the mapping."""
        return {operation.key: number(operation.cost) for operation in value}


class PricingSerializer(WireSerializer):
    """All prices at a glance; those per batch say so in the list of operations only."""

    operationCosts = Costs(source="operations")
    lastUpdated = Timestamp(source="updated_at", allow_null=True)


OPERATION = OperationSerializer()
PRICING = PricingSerializer()
