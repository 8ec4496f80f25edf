"""What services send and read; the wire's names stand only here."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from credits.api.serializers import (
    APP_ID_LENGTH,
    DESCRIPTION_LENGTH,
    BalanceSerializer,
    PricedSerializer,
    TransactionSerializer,
    UseSerializer,
)
from credits.api.wire_fields import (
    Always,
    Amount,
    Credits,
    JsonObject,
    Label,
    Text,
    Timestamp,
    UserId,
    Uuid,
    Whole,
)
from credits.api.wire_serializers import KeyedSerializer, WireSerializer
from credits.ledger import reservations
from gifts.serializers import Email


@extend_schema_field({"type": "integer", "minimum": 0})
class Count(serializers.Field[Any, Any, Any, Any]):
    """How often some outcomes came up, out of a Counter; only sent."""

    def __init__(self, *outcomes: str) -> None:
        self.outcomes = outcomes
        super().__init__(source="*", read_only=True)

    def to_representation(self, value: Any) -> int:
        """Return the sum."""
        return sum(value[outcome] for outcome in self.outcomes)


class AppIdSerializer(WireSerializer):
    """The caller's name for itself, from the header `X-App-Id`."""

    appId = Label(source="name", max_length=APP_ID_LENGTH)


class ServiceBalanceSerializer(BalanceSerializer):
    """A user's balance with the number of their transactions."""

    transactionsCount = serializers.IntegerField(source="last_number")


class ErasedSerializer(WireSerializer):
    """How many rows were stripped of what told whose they were."""

    deletedCount = serializers.IntegerField(source="*")


class BalanceRowSerializer(WireSerializer):
    """The balance's row as `init` shows it."""

    userId = UserId(source="user_id")
    balance = Amount(source="available")
    totalEarned = Amount(source="total_earned")
    totalSpent = Amount(source="total_spent")
    version = serializers.IntegerField()
    createdAt = Timestamp(source="created_at")
    updatedAt = Timestamp(source="updated_at")


class ServiceUseSerializer(UseSerializer):
    """A spend on behalf of a user."""

    userId = UserId(source="user_id")


class RefundSerializer(KeyedSerializer):
    """Used credits to give back; `transactionId` names the usage that they were taken by."""

    userId = UserId(source="user_id")
    amount = Credits()
    description = Text(max_length=DESCRIPTION_LENGTH)
    appId = Label(source="app_id", max_length=APP_ID_LENGTH, default="system")
    metadata = JsonObject(required=False, allow_null=True)
    transactionId = Uuid(source="usage_id", required=False, allow_null=True, default=None)


class AvailableSerializer(WireSerializer):
    """A balance reduced to what can be spent."""

    balance = Amount(source="available")


class RefundedSerializer(WireSerializer):
    """The answer to a refund."""

    success = Always(True)
    transaction = TransactionSerializer()
    newBalance = AvailableSerializer(source="balance")


class GrantSerializer(KeyedSerializer):
    """Credits given without payment, once per user and `referenceId`."""

    userId = UserId(source="user_id")
    amount = Credits()
    reason = Label(max_length=64)
    referenceId = Label(source="reference_id", max_length=128)
    description = Text(max_length=DESCRIPTION_LENGTH, required=False, allow_null=True)


class GrantedSerializer(WireSerializer):
    """The answer to a grant."""

    ok = Always(True)
    alreadyGranted = serializers.BooleanField(source="replayed")
    newBalance = Amount(source="balance.available")
    transactionId = Uuid(source="transaction.id")


class ReserveSerializer(PricedSerializer):
    """Credits to hold for a while; `reason` is `APP` or `APP:WHAT`."""

    userId = UserId(source="user_id")
    reason = Label(max_length=200)
    ttlSeconds = Whole(
        source="ttl_seconds",
        min_value=int(reservations.SHORTEST_TTL.total_seconds()),
        max_value=int(reservations.LONGEST_TTL.total_seconds()),
        default=int(reservations.DEFAULT_TTL.total_seconds()),
    )

    def validate_reason(self, reason: str) -> str:
        """Refuse a reason whose app is missing or too long for a transaction."""
        if not 1 <= len(reason.partition(":")[0]) <= APP_ID_LENGTH:
            raise serializers.ValidationError("The part before ':' names the app.")
        return reason


class ReservedSerializer(WireSerializer):
    """The answer to a reservation."""

    reservationId = Uuid(source="reservation.id")
    balance = Amount(source="balance.available")
    expiresAt = Timestamp(source="reservation.expires_at")


class ReleaseSerializer(KeyedSerializer):
    """A reservation to let go."""

    reservationId = Uuid(source="reservation_id")


class CommitSerializer(ReleaseSerializer):
    """A reservation to spend, whole or `amount` of it."""

    amount = Credits(required=False, allow_null=True, default=None)
    description = Text(max_length=DESCRIPTION_LENGTH, required=False, allow_null=True, default=None)


class CommittedSerializer(WireSerializer):
    """The answer to a commit."""

    success = Always(True)
    transactionId = Uuid(source="reservation.transaction_id")
    amount = Amount(source="reservation.committed_amount")
    balance = Amount(source="balance.available")


class ReleasedSerializer(WireSerializer):
    """The answer to a release."""

    success = Always(True)
    balance = Amount(source="balance.available")


class RenewalsSerializer(WireSerializer):
    """How many subscriptions this call charged, paused, or could not renew."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Name the fields here: `errors` as an attribute is DRF's own."""
        return {
            "charged": Count("charged"),
            "paused": Count("paused"),
            "errors": Count("error"),
            "total": Count("charged", "paused", "error"),
        }


class RedeemPendingSerializer(WireSerializer):
    """Somebody who has registered, and the address that gifts may wait for."""

    userId = UserId(source="user_id")
    email = Email()


class ArrivedSerializer(WireSerializer):
    """How many gifts arrived, and how many credits in all."""

    redeemed = serializers.IntegerField()
    totalCredits = Amount(source="total_credits")


APP_ID = AppIdSerializer()
SERVICE_BALANCE = ServiceBalanceSerializer()
ERASED = ErasedSerializer()
BALANCE_ROW = BalanceRowSerializer()
SERVICE_USE = ServiceUseSerializer()
REFUND = RefundSerializer()
REFUNDED = RefundedSerializer()
GRANT = GrantSerializer()
GRANTED = GrantedSerializer()
RESERVE = ReserveSerializer()
RESERVED = ReservedSerializer()
COMMIT = CommitSerializer()
COMMITTED = CommittedSerializer()
RELEASE = ReleaseSerializer()
RENEWALS = RenewalsSerializer()
RELEASED = ReleasedSerializer()
REDEEM_PENDING = RedeemPendingSerializer()
ARRIVED = ArrivedSerializer()
