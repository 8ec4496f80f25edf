"""What users and services send and read about credits; the wire's names stand only here."""

from collections.abc import Mapping
from typing import Any, cast

from rest_framework import serializers

from credits.api.wire_fields import (
    Always,
    Amount,
    Credits,
    EndTimestamp,
    JsonObject,
    Label,
    Text,
    Timestamp,
    UserId,
    Uuid,
    Whole,
)
from credits.api.wire_serializers import KeyedSerializer, WireSerializer
from credits.catalogue import LARGEST_QUANTITY
from credits.ledger.posting import Posting, Priced
from credits.models import Transaction

APP_ID_LENGTH = 100
DESCRIPTION_LENGTH = 500
MISSING_AMOUNT = {"amount": ["This field is required."]}


class NewBalanceSerializer(WireSerializer):
    """The balance as the answer to a movement shows it; `balance` is what can be spent."""

    balance = Amount(source="available")
    totalEarned = Amount(source="total_earned")
    totalSpent = Amount(source="total_spent")


class BalanceSerializer(NewBalanceSerializer):
    """A user's balance."""

    held = Amount()


class TransactionSerializer(WireSerializer):
    """One entry of the ledger; `balanceBefore` and `balanceAfter` are the posted balance."""

    id = Uuid()
    userId = UserId(source="user_id")
    type = serializers.ChoiceField(choices=Transaction.Type.choices)
    status = Always("completed")
    amount = Amount()
    balanceBefore = Amount(source="balance_before")
    balanceAfter = Amount(source="balance_after")
    appId = Text(source="app_id")
    description = Text()
    metadata = JsonObject(allow_null=True)
    idempotencyKey = Text(source="idempotency_key", allow_null=True)
    createdAt = Timestamp(source="created_at")
    completedAt = Timestamp(source="created_at")


class PricedSerializer(KeyedSerializer):
    """What is to be taken: an `amount`, or a `quantity` of an `operation` of the catalogue."""

    amount = Credits(required=False, allow_null=True)
    operation = Label(max_length=64, required=False, allow_null=True)
    quantity = Whole(min_value=1, max_value=LARGEST_QUANTITY, required=False, allow_null=True)

    def parse(self, data: object) -> dict[str, Any]:
        """Name a missing amount beside whatever else is wrong."""
        try:
            return super().parse(data)
        except serializers.ValidationError as error:
            if isinstance(data, Mapping) and data.get("amount") is data.get("operation") is None:
                details = cast("dict[str, Any]", error.detail)
                raise serializers.ValidationError({**MISSING_AMOUNT, **details}) from error
            raise

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Let `amount` be what is to be taken: credits, or so much of an operation."""
        amount, operation, quantity = map(attrs.get, ("amount", "operation", "quantity"))
        if operation is None:
            if amount is None:
                raise serializers.ValidationError(MISSING_AMOUNT)
            if quantity is not None:
                raise serializers.ValidationError({"quantity": ["A quantity needs an operation."]})
            return attrs
        if amount is not None:
            raise serializers.ValidationError({"amount": ["An operation has its own price."]})
        return {**attrs, "amount": Priced(operation, quantity or 1)}


class UseSerializer(PricedSerializer):
    """A spend: how much, in which app, for what."""

    appId = Label(source="app_id", max_length=APP_ID_LENGTH)
    description = Text(max_length=DESCRIPTION_LENGTH)
    metadata = JsonObject(required=False, allow_null=True)


class UsedSerializer(WireSerializer):
    """The answer to a spend; a replay also says so in `message`."""

    success = Always(True)
    transaction = TransactionSerializer()
    newBalance = NewBalanceSerializer(source="balance")

    def represent(self, subject: Any) -> dict[str, Any]:
        """Add the message to a replay."""
        answer = super().represent(subject)
        posting: Posting = subject
        if posting.replayed:
            answer["message"] = "Transaction already processed"
        return answer


class TransactionQuerySerializer(WireSerializer):
    """Filters of the list of transactions."""

    type = serializers.ChoiceField(choices=Transaction.Type.choices, required=False)
    appId = Label(source="app_id", max_length=APP_ID_LENGTH, required=False)
    to = EndTimestamp(source="created_at__lte", required=False)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Add `from`, which Python keeps for itself."""
        start = Timestamp(source="created_at__gte", required=False)
        return {**super().get_fields(), "from": start}


class UsageQuerySerializer(WireSerializer):
    """The span of UTC days that usage is asked for, both included."""

    to = serializers.DateField(required=False)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Add `from`, which Python keeps for itself."""
        return {**super().get_fields(), "from": serializers.DateField(required=False)}


class UsageStatSerializer(WireSerializer):
    """What was spent in one app on one UTC day."""

    date = serializers.DateField()
    appId = Text(source="app_id")
    creditsUsed = Amount(source="credits_used")
    transactions = serializers.IntegerField()


BALANCE = BalanceSerializer()
NEW_BALANCE = NewBalanceSerializer()
TRANSACTION = TransactionSerializer()
TRANSACTION_QUERY = TransactionQuerySerializer()
USE = UseSerializer()
USED = UsedSerializer()
USAGE_QUERY = UsageQuerySerializer()
USAGE_STAT = UsageStatSerializer()
