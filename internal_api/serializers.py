"""Serializers of the API for services."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from credits.api.json_object import JsonObject
from credits.api.serializers import (
    DESCRIPTION_LENGTH,
    BalanceSerializer,
    TransactionSerializer,
    UseCreditsSerializer,
)
from credits.api.wire_fields import (
    APP_ID_LENGTH,
    AmountField,
    ConstantField,
    CreditsField,
    EmailField,
    ShortTextField,
    TextField,
    TimestampField,
    UserIdField,
    UuidField,
)
from credits.api.wire_serializers import KeyedSerializer, UserSerializer, WireSerializer


@extend_schema_field({"type": "integer", "minimum": 0})
class OutcomesField(serializers.Field[Any, Any, Any, Any]):
    """The sum of some outcomes of a Counter, for output only."""

    def __init__(self, *outcomes: str, **options: Any) -> None:
        self.outcomes = outcomes
        super().__init__(source="*", read_only=True, **options)

    def to_representation(self, value: Any) -> int:
        """Return the sum of the outcomes."""
        return sum(value[outcome] for outcome in self.outcomes)


class AppIdSerializer(WireSerializer):
    """The caller's name for itself, from the header `X-App-Id`."""

    appId = ShortTextField(source="name", max_length=APP_ID_LENGTH)


class ServiceBalanceSerializer(BalanceSerializer):
    """A user's balance with the number of their transactions."""

    transactionsCount = serializers.IntegerField(
        # The user's transactions are numbered 1, 2, 3 … without gaps, so nothing is counted.
        source="last_number",
        help_text="The number of the user's transactions.",
    )


class EraseUserResponseSerializer(WireSerializer):
    """The number of rows that an erasure deleted or anonymised."""

    deletedCount = serializers.IntegerField(
        source="*", help_text="The number of rows that were deleted or anonymised."
    )


class InitBalanceSerializer(UserSerializer):
    """The user whose balance row is requested."""


class BalanceRowSerializer(WireSerializer):
    """The balance row that `init` returns."""

    userId = UserIdField(source="user_id", help_text="The user.")
    balance = AmountField(source="available", help_text="Credits that can be spent now.")
    totalEarned = AmountField(source="total_earned", help_text="All credits received so far.")
    totalSpent = AmountField(
        source="total_spent", help_text="All credits spent so far, minus those refunded."
    )
    version = serializers.IntegerField(help_text="The number of changes of the row.")
    createdAt = TimestampField(source="created_at", help_text="When the row was created.")
    updatedAt = TimestampField(source="updated_at", help_text="When the row last changed.")


class ServiceUseCreditsSerializer(UseCreditsSerializer):
    """A spend on behalf of a user."""

    userId = UserIdField(source="user_id", help_text="The user whose credits are spent.")


class RefundSerializer(KeyedSerializer):
    """Used credits to give back; `transactionId` is the usage that spent them."""

    userId = UserIdField(source="user_id", help_text="The user who gets credits back.")
    amount = CreditsField(help_text="Credits, with at most 4 decimal places.")
    description = TextField(
        max_length=DESCRIPTION_LENGTH, allow_blank=True, help_text="A text for the user."
    )
    appId = ShortTextField(
        source="app_id",
        max_length=APP_ID_LENGTH,
        default="system",
        allow_null=True,
        help_text="The app of the refund's transaction. The header `X-App-Id` does not change it.",
    )
    metadata = JsonObject(
        required=False,
        allow_null=True,
        help_text="Any JSON object of at most 16 KiB, kept with the transaction.",
    )
    transactionId = UuidField(
        source="usage_id",
        required=False,
        allow_null=True,
        default=None,
        help_text="The usage to refund. All refunds of a usage are at most its amount.",
    )


class AvailableBalanceSerializer(WireSerializer):
    """The available credits of a balance."""

    balance = AmountField(source="available", help_text="Credits that can be spent now.")


class RefundResponseSerializer(WireSerializer):
    """The answer to a refund."""

    success = ConstantField(True, help_text="Always true.")
    transaction = TransactionSerializer(
        help_text="The refund's transaction; for a replay, the first one."
    )
    newBalance = AvailableBalanceSerializer(source="balance", help_text="The current balance.")


class GrantSerializer(KeyedSerializer):
    """Credits given without payment, once per user and `referenceId`."""

    userId = UserIdField(source="user_id", help_text="The user who receives the credits.")
    amount = CreditsField(help_text="Credits, with at most 4 decimal places.")
    reason = ShortTextField(max_length=64, help_text="The reason as a short machine-readable code.")
    referenceId = ShortTextField(
        source="reference_id",
        max_length=128,
        help_text="The id of what is rewarded. A reference is granted once per user.",
    )
    description = TextField(
        max_length=DESCRIPTION_LENGTH,
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="A text for the user, `Reward: REASON` by default.",
    )
    expiresAt = TimestampField(
        source="expires_at",
        required=False,
        allow_null=True,
        default=None,
        help_text="When unspent credits of the grant expire; null or absent: never.",
    )


class GrantResponseSerializer(WireSerializer):
    """The answer to a grant."""

    ok = ConstantField(True, help_text="Always true.")
    alreadyGranted = serializers.BooleanField(
        source="replayed", help_text="Whether the reference was granted before; nothing moved."
    )
    newBalance = AmountField(source="balance.available", help_text="Credits that can be spent now.")
    transactionId = UuidField(
        source="transaction.id",
        help_text="The grant's transaction; for a known reference, the first one.",
    )


class RenewSubscriptionsResponseSerializer(WireSerializer):
    """The number of subscriptions that this call charged, paused or failed to renew."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return the fields. They are not attributes because DRF uses the attribute `errors`."""
        return {
            "charged": OutcomesField("charged", help_text="The number of subscriptions charged."),
            "paused": OutcomesField("paused", help_text="The number paused for lack of credits."),
            "errors": OutcomesField(
                *("failed", "skipped"), help_text="The number failed or locked; they stay due."
            ),
            "total": OutcomesField(
                *("charged", "paused", "failed", "skipped"), help_text="The number that was due."
            ),
        }


class RedeemPendingGiftsSerializer(WireSerializer):
    """A newly registered user and their e-mail address, for which gifts may be pending."""

    userId = UserIdField(source="user_id", help_text="The newly registered user.")
    email = EmailField(help_text="The user's confirmed e-mail address.")


class RedeemPendingGiftsResponseSerializer(WireSerializer):
    """The number of gifts redeemed and the sum of their credits."""

    redeemed = serializers.IntegerField(help_text="The number of gifts redeemed.")
    totalCredits = AmountField(source="total_credits", help_text="The sum of their credits.")


APP_ID = AppIdSerializer()
SERVICE_BALANCE = ServiceBalanceSerializer()
ERASED = EraseUserResponseSerializer()
BALANCE_ROW = BalanceRowSerializer()
SERVICE_USE = ServiceUseCreditsSerializer()
REFUND = RefundSerializer()
REFUNDED = RefundResponseSerializer()
GRANT = GrantSerializer()
GRANTED = GrantResponseSerializer()
RENEWALS = RenewSubscriptionsResponseSerializer()
REDEEM_PENDING = RedeemPendingGiftsSerializer()
ARRIVED = RedeemPendingGiftsResponseSerializer()
