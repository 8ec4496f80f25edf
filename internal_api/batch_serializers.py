"""Serializers of a batch of spends."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from credits.api import error_bodies
from credits.api.json_object import JsonObject
from credits.api.serializers import USED, BalanceAfterwardsSerializer, TransactionSerializer
from credits.api.wire_fields import TextField
from credits.api.wire_serializers import WireSerializer
from credits.errors import DomainError
from credits.ledger import Posting
from credits.ledger.spend_batches import LARGEST_BATCH, Spent


# Items have no schema here, because an invalid item is rejected alone and not with the batch.
@extend_schema_field(
    {
        "type": "array",
        "minItems": 1,
        "maxItems": LARGEST_BATCH,
        "items": {"description": "A `ServiceUseCreditsRequest`; each is validated on its own."},
    }
)
class BatchItems(serializers.Field[Any, Any, Any, Any]):
    """A list of 1 to 1,000 items. An invalid item is rejected without affecting the others."""

    default_error_messages = {"size": "A list of 1 to 1,000 items is expected."}

    def to_internal_value(self, data: object) -> list[Any]:
        """Return the list without validating its items."""
        if not isinstance(data, list) or not 0 < len(data) <= LARGEST_BATCH:
            self.fail("size")
        return data


class UseBatchSerializer(WireSerializer):
    """Spends on behalf of any users, each with its own `idempotencyKey`."""

    items = BatchItems(help_text="1 to 1,000 items, each with the fields of `use`.")


class BatchOutcomeSerializer(WireSerializer):
    """The outcome of an item, with the fields of the answer or of the error of `use`."""

    outcome = serializers.ChoiceField(
        choices=("posted", "replayed", "refused"), help_text="The outcome of the item."
    )
    success = serializers.BooleanField(help_text="False for a refused item.")
    transaction = TransactionSerializer(required=False, help_text="The usage; not if refused.")
    newBalance = BalanceAfterwardsSerializer(
        required=False, help_text="The user's balance after the item; not if refused."
    )
    message = TextField(
        required=False, help_text="The error of a refused item, or a replay's message."
    )
    statusCode = serializers.IntegerField(
        required=False, help_text="The status that `use` would answer with; only if refused."
    )
    code = TextField(required=False, help_text="The stable code of the error; only if refused.")
    details = JsonObject(required=False, help_text="The details of the error, as in `use`.")
    error = TextField(required=False, help_text="`Forbidden`; only with the status 403.")


class UseBatchResponseSerializer(WireSerializer):
    """The outcomes of a batch, in the order of its items."""

    items = BatchOutcomeSerializer(many=True, help_text="An outcome for each item, in order.")


USE_BATCH = UseBatchSerializer()


def outcome(result: Spent | Posting | DomainError | serializers.ValidationError) -> dict[str, Any]:
    """Return an item's outcome as plain JSON values."""
    match result:
        case DomainError():
            return _refused(error_bodies.of_domain(result))
        case serializers.ValidationError():
            return _refused(error_bodies.of_validation(result))
    return {"outcome": "replayed" if result.replayed else "posted", **USED.represent(result)}


def _refused(error: dict[str, Any]) -> dict[str, Any]:
    return {"outcome": "refused", "success": False, **error}
