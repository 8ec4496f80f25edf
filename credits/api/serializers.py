"""What users and services send and read about credits; the wire's names stand only here."""

from collections.abc import Mapping
from typing import Any, cast

from rest_framework import serializers

from credits.api.openapi import Variant
from credits.api.wire_fields import (
    Always,
    Amount,
    Credits,
    Day,
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
from credits.ledger.usage import InvalidSpan
from credits.models import Transaction

Field = serializers.Field[Any, Any, Any, Any]

APP_ID_LENGTH = 100
DESCRIPTION_LENGTH = 500
MISSING_AMOUNT = {"amount": ["This field is required, unless there is an operation."]}


class BalanceAfterwardsSerializer(WireSerializer):
    """The balance as the answer to a movement shows it; `balance` is what can be spent."""

    balance = Amount(
        source="available",
        help_text="Credits that can be spent now: the posted balance less what is held.",
    )
    totalEarned = Amount(source="total_earned", help_text="Credits received since the beginning.")
    totalSpent = Amount(
        source="total_spent", help_text="Credits spent since the beginning, less what was refunded."
    )


class BalanceSerializer(BalanceAfterwardsSerializer):
    """A user's balance."""

    held = Amount(help_text="Credits that open reservations hold.")


class TransactionSerializer(WireSerializer):
    """One entry of the ledger; `balanceBefore` and `balanceAfter` are the posted balance."""

    id = Uuid(help_text="The transaction's id.")
    userId = UserId(source="user_id")
    type = serializers.ChoiceField(
        choices=Transaction.Type.choices, help_text="What moved the credits."
    )
    status = Always(
        "completed", help_text="Always `completed`: a transaction is posted or does not exist."
    )
    amount = Amount(help_text="Credits, signed: negative when they left the balance.")
    balanceBefore = Amount(
        source="balance_before", help_text="The posted balance before the transaction."
    )
    balanceAfter = Amount(
        source="balance_after", help_text="The posted balance after the transaction."
    )
    appId = Text(source="app_id", help_text="The app in which the credits moved.")
    description = Text(help_text="A text for the user.")
    metadata = JsonObject(allow_null=True, help_text="The caller's JSON object, as it was sent.")
    idempotencyKey = Text(
        source="idempotency_key",
        allow_null=True,
        help_text="The key of the request, if it had one.",
    )
    createdAt = Timestamp(source="created_at", help_text="When the transaction was posted.")
    completedAt = Timestamp(source="created_at", help_text="The same as `createdAt`.")


class PricedSerializer(KeyedSerializer):
    """What is to be taken: an `amount`, or a `quantity` of an `operation` of the catalogue."""

    variants = {
        "ByAmount": Variant(
            "So many credits.", required=("amount",), without=("operation", "quantity")
        ),
        "ByOperation": Variant(
            "An operation at the catalogue's price.", required=("operation",), without=("amount",)
        ),
    }

    amount = Credits(
        required=False, allow_null=True, help_text="Credits, with at most 4 decimal places."
    )
    operation = Label(
        max_length=64,
        required=False,
        allow_null=True,
        help_text="A key of the catalogue (`GET /credits/operations`), which sets the price.",
    )
    quantity = Whole(
        min_value=1,
        max_value=LARGEST_QUANTITY,
        required=False,
        allow_null=True,
        help_text="How many items of the operation, 1 by default.",
    )

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


class UseCreditsSerializer(PricedSerializer):
    """A spend: how much, in which app, for what."""

    appId = Label(
        source="app_id",
        max_length=APP_ID_LENGTH,
        help_text="The app in which the credits are spent.",
    )
    description = Text(max_length=DESCRIPTION_LENGTH, help_text="A text for the user.")
    metadata = JsonObject(
        required=False,
        allow_null=True,
        help_text="Any JSON object of at most 16 KiB, kept with the transaction.",
    )


class UseCreditsResponseSerializer(WireSerializer):
    """The answer to a spend; a replay also says so in `message`."""

    success = Always(True, help_text="Always true.")
    transaction = TransactionSerializer(
        help_text="The transaction that spent the credits; with a known key the first one."
    )
    newBalance = BalanceAfterwardsSerializer(
        source="balance", help_text="The balance as it is now."
    )

    message = Always(
        "Transaction already processed",
        optional=True,
        help_text="Only when the idempotency key was known: nothing moved now.",
    )

    def represent(self, subject: Any) -> dict[str, Any]:
        """Leave the message out unless this is a replay."""
        answer = super().represent(subject)
        posting: Posting = subject
        if not posting.replayed:
            del answer["message"]
        return answer


class SpanSerializer(WireSerializer):
    """A span of time, `from` and `to` included."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Raise InvalidSpan for a span that ends before it begins."""
        first, last = (attrs.get(str(self.fields[end].source)) for end in ("from", "to"))
        if first and last and first > last:
            raise InvalidSpan
        return attrs


class TransactionQuerySerializer(SpanSerializer):
    """Filters of the list of transactions."""

    type = serializers.ChoiceField(
        choices=Transaction.Type.choices,
        required=False,
        help_text="Only transactions of this type.",
    )
    appId = Label(
        source="app_id",
        max_length=APP_ID_LENGTH,
        required=False,
        help_text="Only transactions of this app.",
    )
    to = EndTimestamp(
        source="created_at__lte",
        required=False,
        help_text="Only transactions until this moment, or until the end of this UTC day.",
    )

    def get_fields(self) -> dict[str, Field]:
        """Add `from`, a keyword of Python."""
        start = Timestamp(
            source="created_at__gte",
            required=False,
            help_text="Only transactions from this moment on, or from the start of this UTC day.",
        )
        return {**super().get_fields(), "from": start}


class UsageQuerySerializer(SpanSerializer):
    """The span of UTC days that usage is asked for, both included."""

    to = Day(required=False, help_text="The last UTC day; today by default.")

    def get_fields(self) -> dict[str, Field]:
        """Add `from`, a keyword of Python."""
        text = "The first UTC day: at most 366 days before the last, by default 30."
        return {**super().get_fields(), "from": Day(required=False, help_text=text)}


class UsageStatSerializer(WireSerializer):
    """What was spent in one app on one UTC day."""

    date = serializers.DateField(help_text="The UTC day.")
    appId = Text(source="app_id", help_text="The app.")
    creditsUsed = Amount(source="credits_used", help_text="Credits spent in the app on that day.")
    transactions = serializers.IntegerField(help_text="How many transactions spent them.")


BALANCE = BalanceSerializer()
NEW_BALANCE = BalanceAfterwardsSerializer()
TRANSACTION = TransactionSerializer()
TRANSACTION_QUERY = TransactionQuerySerializer()
USE = UseCreditsSerializer()
USED = UseCreditsResponseSerializer()
USAGE_QUERY = UsageQuerySerializer()
USAGE_STAT = UsageStatSerializer()
