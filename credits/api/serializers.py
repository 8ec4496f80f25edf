"""Serializers of balances, transactions, spends and open reservations."""

from collections.abc import Mapping
from typing import Any, cast

from rest_framework import serializers

from credits.api.json_object import JsonObject
from credits.api.metered_fields import MeteringField, UnitsField
from credits.api.wire_fields import (
    APP_ID_LENGTH,
    AmountField,
    ConstantField,
    CreditsField,
    ShortTextField,
    StrictIntegerField,
    TextField,
    TimestampField,
    UserIdField,
    UuidField,
)
from credits.api.wire_serializers import KeyedSerializer, Variant, WireSerializer
from credits.catalogue.catalogue import LARGEST_QUANTITY
from credits.ledger import Posting, Priced
from credits.models import Transaction

DESCRIPTION_LENGTH = 500
MISSING_AMOUNT = {"amount": ["This field is required, unless there is an operation."]}
UNITS_ALONE = "Units are only allowed with an operation."


class BalanceAfterwardsSerializer(WireSerializer):
    """The balance after a movement; `balance` is the available credits."""

    balance = AmountField(
        source="available",
        help_text="Credits that can be spent now: the posted balance minus the held credits.",
    )
    totalEarned = AmountField(source="total_earned", help_text="All credits received so far.")
    totalSpent = AmountField(
        source="total_spent", help_text="All credits spent so far, minus those refunded."
    )


class ExpiringSerializer(WireSerializer):
    """Available credits that expire."""

    amount = AmountField(help_text="Credits that expire at this time.")
    at = TimestampField(help_text="When the credits expire.")


class BalanceSerializer(BalanceAfterwardsSerializer):
    """A user's balance."""

    held = AmountField(help_text="Credits held by open reservations.")
    expiring = ExpiringSerializer(
        many=True, help_text="The available credits that expire, by time, the earliest first."
    )


class TransactionSerializer(WireSerializer):
    """One transaction; `balanceBefore` and `balanceAfter` are posted balances."""

    id = UuidField(help_text="The transaction's id.")
    userId = UserIdField(source="user_id")
    type = serializers.ChoiceField(
        choices=Transaction.Type.choices, help_text="The type of the movement."
    )
    status = ConstantField(
        "completed", help_text="Always `completed`: a transaction is posted or does not exist."
    )
    amount = AmountField(help_text="Credits, negative if they left the balance.")
    balanceBefore = AmountField(
        source="balance_before", help_text="The posted balance before the transaction."
    )
    balanceAfter = AmountField(
        source="balance_after", help_text="The posted balance after the transaction."
    )
    appId = TextField(source="app_id", help_text="The app in which the credits moved.")
    description = TextField(help_text="A text for the user.")
    metadata = JsonObject(allow_null=True, help_text="The caller's JSON object, unchanged.")
    idempotencyKey = TextField(
        source="idempotency_key",
        allow_null=True,
        help_text="The key of the request, if it had one.",
    )
    createdAt = TimestampField(source="created_at", help_text="When the transaction was posted.")
    # The earlier service had both times. Here a transaction is complete when it is written.
    completedAt = TimestampField(source="created_at", help_text="The same as `createdAt`.")
    metering = MeteringField()


class PricedSerializer(KeyedSerializer):
    """The credits to take: an `amount`, or the price of an `operation`.

    The price is that of `quantity` items or, if the operation is metered, of `units`.
    """

    variants = {
        "ByAmount": Variant(
            "An amount of credits.",
            required=("amount",),
            without=("operation", "quantity", "units"),
        ),
        "ByOperation": Variant(
            "An operation at the catalogue's price.",
            required=("operation",),
            without=("amount", "units"),
        ),
        "ByUnits": Variant(
            "Units of a metered operation at the catalogue's prices.",
            required=("operation", "units"),
            without=("amount", "quantity"),
        ),
    }

    amount = CreditsField(
        required=False, allow_null=True, help_text="Credits, with at most 4 decimal places."
    )
    operation = ShortTextField(
        max_length=64,
        required=False,
        allow_null=True,
        help_text="A key of the catalogue (`GET /credits/operations`), which sets the price.",
    )
    quantity = StrictIntegerField(
        min_value=1,
        max_value=LARGEST_QUANTITY,
        required=False,
        allow_null=True,
        help_text="The number of items of the operation, 1 by default.",
    )
    units = UnitsField(
        required=False,
        allow_null=True,
        help_text="The units of a metered operation, by name;"
        " for `reserve`, the largest expected ones.",
    )

    def parse(self, data: object) -> dict[str, Any]:
        """Parse the body; report a missing amount together with all other errors."""
        try:
            return super().parse(data)
        except serializers.ValidationError as error:
            if isinstance(data, Mapping) and data.get("amount") is data.get("operation") is None:
                details = cast("dict[str, Any]", error.detail)
                raise serializers.ValidationError({**MISSING_AMOUNT, **details}) from error
            raise

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Set `amount` to the given credits or to a `Priced` operation; raise ValidationError."""
        amount, operation, quantity = map(attrs.get, ("amount", "operation", "quantity"))
        units = attrs.get("units")
        if operation is None:
            if amount is None:
                raise serializers.ValidationError(MISSING_AMOUNT)
            if quantity is not None:
                raise serializers.ValidationError(
                    {"quantity": ["A quantity is only allowed with an operation."]}
                )
            if units is not None:
                raise serializers.ValidationError({"units": [UNITS_ALONE]})
            return attrs
        if amount is not None:
            raise serializers.ValidationError(
                {"amount": ["An amount is not allowed with an operation, which has a price."]}
            )
        if units is None:
            return {**attrs, "amount": Priced(operation, quantity or 1)}
        if quantity is not None:
            raise serializers.ValidationError(
                {"quantity": ["A quantity is not allowed with units."]}
            )
        return {**attrs, "amount": Priced(operation, None, units)}


class UseCreditsSerializer(PricedSerializer):
    """A spend: the credits, the app and a description."""

    appId = ShortTextField(
        source="app_id",
        max_length=APP_ID_LENGTH,
        help_text="The app in which the credits are spent.",
    )
    description = TextField(
        max_length=DESCRIPTION_LENGTH, allow_blank=True, help_text="A text for the user."
    )
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


class OpenReservationSerializer(WireSerializer):
    """Credits that an app holds for work in progress."""

    amount = AmountField(help_text="Credits held.")
    appId = TextField(source="app_id", help_text="The app that holds them.")
    reason = TextField(help_text="Why they are held, in the app's words.")
    operation = TextField(allow_null=True, help_text="The operation of the catalogue, if any.")
    createdAt = TimestampField(source="created_at", help_text="When they were held.")
    expiresAt = TimestampField(
        source="expires_at", help_text="When they are released unless the app settles before."
    )


BALANCE = BalanceSerializer()
OPEN_RESERVATION = OpenReservationSerializer()
TRANSACTION = TransactionSerializer()
USE = UseCreditsSerializer()
USED = UseCreditsResponseSerializer()
