"""What services send and read about a batch of spends; the wire's names stand only here."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from credits.api.serializers import USED, NewBalanceSerializer, TransactionSerializer
from credits.api.wire_fields import JsonObject, Text
from credits.api.wire_serializers import WireSerializer
from credits.errors import DomainError
from credits.ledger.spend_batches import LARGEST_BATCH, Spent


# Any item is taken, for an invalid one is refused alone; a valid one is a ServiceUse.
@extend_schema_field(
    {
        "type": "array",
        "minItems": 1,
        "maxItems": LARGEST_BATCH,
        "items": {"anyOf": [{"$ref": "#/components/schemas/ServiceUse"}, {}]},
    }
)
class BatchItems(serializers.Field[Any, Any, Any, Any]):
    """A list of 1 to 1,000 items; each is validated alone, so an invalid one stops no other."""

    default_error_messages = {"size": "A list of 1 to 1,000 items is expected."}

    def to_internal_value(self, data: object) -> list[Any]:
        """Take the list with its items as they are."""
        if not isinstance(data, list) or not 0 < len(data) <= LARGEST_BATCH:
            self.fail("size")
        return data


class UseBatchSerializer(WireSerializer):
    """Spends on behalf of any users, each with its own `idempotencyKey`."""

    items = BatchItems()


class BatchOutcomeSerializer(WireSerializer):
    """What became of an item: the answer of `use` with `outcome`, or the error that `use` gives."""

    outcome = serializers.ChoiceField(choices=("posted", "replayed", "refused"))
    success = serializers.BooleanField()
    transaction = TransactionSerializer(required=False)
    newBalance = NewBalanceSerializer(required=False)
    message = Text(required=False)
    statusCode = serializers.IntegerField(required=False)
    code = Text(required=False)
    details = JsonObject(required=False)


class UsedBatchSerializer(WireSerializer):
    """The outcomes of a batch, in the order of its items."""

    items = BatchOutcomeSerializer(many=True)


USE_BATCH = UseBatchSerializer()


def outcome(result: Spent | DomainError | serializers.ValidationError) -> dict[str, Any]:
    """Return an item's outcome as plain JSON values."""
    match result:
        case DomainError():
            return _refused(result.status, result.text, result.code, result.details)
        case serializers.ValidationError():
            return _refused(400, "Validation failed", "validation_failed", result.detail)
    return {"outcome": "replayed" if result.replayed else "posted", **USED.represent(result)}


def _refused(status: int, message: str, code: str, details: Any) -> dict[str, Any]:
    body = {"outcome": "refused", "success": False, "statusCode": status, "message": message}
    return {**body, "code": code, **({"details": details} if details else {})}
