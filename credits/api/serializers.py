"""Serializers of balances, transactions, spends and usage."""

from typing import Any

from rest_framework import serializers

from credits.api.json_object import JsonObject
from credits.api.price_serializers import MeteredSerializer, PricedSerializer
from credits.api.wire_fields import (
    APP_ID_LENGTH,
    Amount,
    ConstantField,
    Day,
    EndTimestamp,
    ShortTextField,
    Text,
    Timestamp,
    UserId,
    Uuid,
)
from credits.api.wire_serializers import WireSerializer
from credits.ledger import Posting
from credits.ledger.usage import InvalidSpan
from credits.models import Transaction

Field = serializers.Field[Any, Any, Any, Any]

DESCRIPTION_LENGTH = 500


class BalanceAfterwardsSerializer(WireSerializer):
    """The balance after a movement; `balance` is the available credits."""

    balance = Amount(
        source="available",
        help_text="Credits that can be spent now: the posted balance minus the held credits.",
    )
    totalEarned = Amount(source="total_earned", help_text="All credits received so far.")
    totalSpent = Amount(
        source="total_spent", help_text="All credits spent so far, minus those refunded."
    )


class ExpiringSerializer(WireSerializer):
    """Available credits that expire."""

    amount = Amount(help_text="Credits that expire at this time.")
    at = Timestamp(help_text="When the credits expire.")


class BalanceSerializer(BalanceAfterwardsSerializer):
    """A user's balance."""

    held = Amount(help_text="Credits held by open reservations.")
    expiring = ExpiringSerializer(
        many=True, help_text="The available credits that expire, by time, the earliest first."
    )


class TransactionSerializer(MeteredSerializer):
    """One transaction; `balanceBefore` and `balanceAfter` are posted balances."""

    id = Uuid(help_text="The transaction's id.")
    userId = UserId(source="user_id")
    type = serializers.ChoiceField(
        choices=Transaction.Type.choices, help_text="The type of the movement."
    )
    status = ConstantField(
        "completed", help_text="Always `completed`: a transaction is posted or does not exist."
    )
    amount = Amount(help_text="Credits, negative if they left the balance.")
    balanceBefore = Amount(
        source="balance_before", help_text="The posted balance before the transaction."
    )
    balanceAfter = Amount(
        source="balance_after", help_text="The posted balance after the transaction."
    )
    appId = Text(source="app_id", help_text="The app in which the credits moved.")
    description = Text(help_text="A text for the user.")
    metadata = JsonObject(allow_null=True, help_text="The caller's JSON object, unchanged.")
    idempotencyKey = Text(
        source="idempotency_key",
        allow_null=True,
        help_text="The key of the request, if it had one.",
    )
    createdAt = Timestamp(source="created_at", help_text="When the transaction was posted.")
    # The earlier service had both times. Here a transaction is complete when it is written.
    completedAt = Timestamp(source="created_at", help_text="The same as `createdAt`.")


class UseCreditsSerializer(PricedSerializer):
    """A spend: the credits, the app and a description."""

    appId = ShortTextField(
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
    """The answer to a spend; a replay also has a `message`."""

    success = ConstantField(True, help_text="Always true.")
    transaction = TransactionSerializer(
        help_text="The transaction that spent the credits; for a replay, the first one."
    )
    newBalance = BalanceAfterwardsSerializer(source="balance", help_text="The current balance.")

    message = ConstantField(
        "Transaction already processed",
        optional=True,
        help_text="Present only for a replay: nothing was spent by this request.",
    )

    def represent(self, subject: Any) -> dict[str, Any]:
        """Represent the posting; omit `message` unless it is a replay."""
        answer = super().represent(subject)
        posting: Posting = subject
        if not posting.replayed:
            del answer["message"]
        return answer


class SpanSerializer(WireSerializer):
    """A span of time, including `from` and `to`."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Raise InvalidSpan if `from` is after `to`."""
        first, last = (attrs.get(str(self.fields[end].source)) for end in ("from", "to"))
        if first and last and first > last:
            raise InvalidSpan
        return attrs


class TransactionQuerySerializer(SpanSerializer):
    """The filters of the list of transactions."""

    type = serializers.ChoiceField(
        choices=Transaction.Type.choices,
        required=False,
        help_text="Only transactions of this type.",
    )
    appId = ShortTextField(
        source="app_id",
        max_length=APP_ID_LENGTH,
        required=False,
        help_text="Only transactions of this app.",
    )
    to = EndTimestamp(
        source="created_at__lte",
        required=False,
        help_text="Only transactions up to this time, or up to the end of this UTC day.",
    )

    def get_fields(self) -> dict[str, Field]:
        """Add `from`, a keyword of Python."""
        start = Timestamp(
            source="created_at__gte",
            required=False,
            help_text="Only transactions since this time, or since the start of this UTC day.",
        )
        return {**super().get_fields(), "from": start}


class UsageQuerySerializer(SpanSerializer):
    """The first and the last UTC day of the usage, inclusive."""

    to = Day(required=False, help_text="The last UTC day; today by default.")

    def get_fields(self) -> dict[str, Field]:
        """Add `from`, a keyword of Python."""
        text = "The first UTC day: at most 366 days before the last one, 30 by default."
        return {**super().get_fields(), "from": Day(required=False, help_text=text)}


class UsageStatSerializer(WireSerializer):
    """The credits spent in one app on one UTC day."""

    date = serializers.DateField(help_text="The UTC day.")
    appId = Text(source="app_id", help_text="The app.")
    creditsUsed = Amount(source="credits_used", help_text="Credits spent in the app on that day.")
    transactions = serializers.IntegerField(help_text="The number of transactions.")


class OpenReservationSerializer(WireSerializer):
    """Credits that an app holds for work in progress."""

    amount = Amount(help_text="Credits held.")
    appId = Text(source="app_id", help_text="The app that holds them.")
    reason = Text(help_text="Why they are held, in the app's words.")
    operation = Text(allow_null=True, help_text="The operation of the catalogue, if any.")
    createdAt = Timestamp(source="created_at", help_text="When they were held.")
    expiresAt = Timestamp(
        source="expires_at", help_text="When they are released unless the app settles before."
    )


BALANCE = BalanceSerializer()
OPEN_RESERVATION = OpenReservationSerializer()
TRANSACTION = TransactionSerializer()
TRANSACTION_QUERY = TransactionQuerySerializer()
USE = UseCreditsSerializer()
USED = UseCreditsResponseSerializer()
USAGE_QUERY = UsageQuerySerializer()
USAGE_STAT = UsageStatSerializer()
