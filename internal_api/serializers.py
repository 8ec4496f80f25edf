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
    UseCreditsSerializer,
)
from credits.api.wire_fields import (
    Always,
    Amount,
    Credits,
    JsonObject,
    Label,
    Reason,
    Text,
    Timestamp,
    UserId,
    Uuid,
    Whole,
)
from credits.api.wire_serializers import KeyedSerializer, UserSerializer, WireSerializer
from credits.ledger import reservations
from gifts.wire_fields import Email


@extend_schema_field({"type": "integer", "minimum": 0})
class Count(serializers.Field[Any, Any, Any, Any]):
    """How often some outcomes came up, out of a Counter; only sent."""

    def __init__(self, *outcomes: str, **options: Any) -> None:
        self.outcomes = outcomes
        super().__init__(source="*", read_only=True, **options)

    def to_representation(self, value: Any) -> int:
        """Return the sum."""
        return sum(value[outcome] for outcome in self.outcomes)


class AppIdSerializer(WireSerializer):
    """The caller's name for itself, from the header `X-App-Id`."""

    appId = Label(source="name", max_length=APP_ID_LENGTH)


class ServiceBalanceSerializer(BalanceSerializer):
    """A user's balance with the number of their transactions."""

    transactionsCount = serializers.IntegerField(
        source="last_number", help_text="How many transactions the user has."
    )


class EraseUserResponseSerializer(WireSerializer):
    """How many rows were stripped of what told whose they were."""

    deletedCount = serializers.IntegerField(
        source="*", help_text="How many rows were deleted or stripped of personal data."
    )


class InitBalanceSerializer(UserSerializer):
    """The user whose balance's row is wanted."""


class BalanceRowSerializer(WireSerializer):
    """The balance's row as `init` shows it."""

    userId = UserId(source="user_id", help_text="The user.")
    balance = Amount(source="available", help_text="Credits that can be spent now.")
    totalEarned = Amount(source="total_earned", help_text="Credits received since the beginning.")
    totalSpent = Amount(
        source="total_spent", help_text="Credits spent since the beginning, less what was refunded."
    )
    version = serializers.IntegerField(help_text="How often the row has changed.")
    createdAt = Timestamp(source="created_at", help_text="When the row was created.")
    updatedAt = Timestamp(source="updated_at", help_text="When the row last changed.")


class ServiceUseCreditsSerializer(UseCreditsSerializer):
    """A spend on behalf of a user."""

    userId = UserId(source="user_id", help_text="The user whose credits are spent.")


class RefundSerializer(KeyedSerializer):
    """Used credits to give back; `transactionId` names the usage that they were taken by."""

    userId = UserId(source="user_id", help_text="The user who gets credits back.")
    amount = Credits(help_text="Credits, with at most 4 decimal places.")
    description = Text(max_length=DESCRIPTION_LENGTH, help_text="A text for the user.")
    appId = Label(
        source="app_id",
        max_length=APP_ID_LENGTH,
        default="system",
        help_text="The app of the refund's transaction. The header `X-App-Id` does not change it.",
    )
    metadata = JsonObject(
        required=False,
        allow_null=True,
        help_text="Any JSON object of at most 16 KiB, kept with the transaction.",
    )
    transactionId = Uuid(
        source="usage_id",
        required=False,
        allow_null=True,
        default=None,
        help_text="The usage to refund: in sum at most what it took.",
    )


class AvailableBalanceSerializer(WireSerializer):
    """A balance reduced to what can be spent."""

    balance = Amount(source="available", help_text="Credits that can be spent now.")


class RefundResponseSerializer(WireSerializer):
    """The answer to a refund."""

    success = Always(True, help_text="Always true.")
    transaction = TransactionSerializer(
        help_text="The refund's transaction; with a known key the first one."
    )
    newBalance = AvailableBalanceSerializer(source="balance", help_text="The balance as it is now.")


class GrantSerializer(KeyedSerializer):
    """Credits given without payment, once per user and `referenceId`."""

    userId = UserId(source="user_id", help_text="The user who receives the credits.")
    amount = Credits(help_text="Credits, with at most 4 decimal places.")
    reason = Label(max_length=64, help_text="Why, in a short form for machines.")
    referenceId = Label(
        source="reference_id",
        max_length=128,
        help_text="What is rewarded: the same reference gives once per user.",
    )
    description = Text(
        max_length=DESCRIPTION_LENGTH,
        required=False,
        allow_null=True,
        help_text="A text for the user, `Reward: REASON` by default.",
    )


class GrantResponseSerializer(WireSerializer):
    """The answer to a grant."""

    ok = Always(True, help_text="Always true.")
    alreadyGranted = serializers.BooleanField(
        source="replayed", help_text="Whether the reference was used before, so nothing moved."
    )
    newBalance = Amount(source="balance.available", help_text="Credits that can be spent now.")
    transactionId = Uuid(
        source="transaction.id",
        help_text="The grant's transaction; with a known reference the first one.",
    )


class ReserveSerializer(PricedSerializer):
    """Credits to hold for a while; `reason` is `APP` or `APP:WHAT`."""

    userId = UserId(source="user_id", help_text="The user whose credits are held.")
    reason = Reason(
        max_length=200,
        help_text="`APP` or `APP:WHAT`; the part before the colon is the transaction's `appId`.",
    )
    ttlSeconds = Whole(
        source="ttl_seconds",
        min_value=int(reservations.SHORTEST_TTL.total_seconds()),
        max_value=int(reservations.LONGEST_TTL.total_seconds()),
        default=int(reservations.DEFAULT_TTL.total_seconds()),
        help_text="After how many seconds the reservation expires.",
    )


class ReserveResponseSerializer(WireSerializer):
    """The answer to a reservation."""

    reservationId = Uuid(source="reservation.id", help_text="What to commit or release.")
    balance = Amount(source="balance.available", help_text="Credits that can be spent now.")
    expiresAt = Timestamp(
        source="reservation.expires_at", help_text="When the reservation expires."
    )


class ReleaseReservationSerializer(KeyedSerializer):
    """A reservation to let go."""

    reservationId = Uuid(source="reservation_id", help_text="The reservation.")


class CommitReservationSerializer(ReleaseReservationSerializer):
    """A reservation to spend, whole or `amount` of it."""

    amount = Credits(
        required=False,
        allow_null=True,
        default=None,
        help_text="Credits to spend, at most what is held; all of it by default.",
    )
    description = Text(
        max_length=DESCRIPTION_LENGTH,
        required=False,
        allow_null=True,
        default=None,
        help_text="A text for the user, the reason by default.",
    )


class CommitReservationResponseSerializer(WireSerializer):
    """The answer to a commit."""

    success = Always(True, help_text="Always true.")
    transactionId = Uuid(
        source="reservation.transaction_id", help_text="The transaction that spent the credits."
    )
    amount = Amount(source="reservation.committed_amount", help_text="Credits that were spent.")
    balance = Amount(source="balance.available", help_text="Credits that can be spent now.")


class ReleaseReservationResponseSerializer(WireSerializer):
    """The answer to a release."""

    success = Always(True, help_text="Always true.")
    balance = Amount(source="balance.available", help_text="Credits that can be spent now.")


class RenewSubscriptionsResponseSerializer(WireSerializer):
    """How many subscriptions this call charged, paused, or could not renew."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Name the fields here: `errors` as an attribute is DRF's own."""
        return {
            "charged": Count("charged", help_text="How many periods were charged."),
            "paused": Count("paused", help_text="How many were paused for lack of credits."),
            "errors": Count(
                *("failed", "skipped"), help_text="How many failed or were locked; they stay due."
            ),
            "total": Count(
                *("charged", "paused", "failed", "skipped"), help_text="How many were due."
            ),
        }


class RedeemPendingGiftsSerializer(WireSerializer):
    """Somebody who has registered, and the address that gifts may wait for."""

    userId = UserId(source="user_id", help_text="The user who has registered.")
    email = Email(help_text="The user's e-mail address, which gifts may wait for.")


class RedeemPendingGiftsResponseSerializer(WireSerializer):
    """How many gifts arrived, and how many credits in all."""

    redeemed = serializers.IntegerField(help_text="How many gifts arrived.")
    totalCredits = Amount(source="total_credits", help_text="Credits that arrived in all.")


APP_ID = AppIdSerializer()
SERVICE_BALANCE = ServiceBalanceSerializer()
ERASED = EraseUserResponseSerializer()
BALANCE_ROW = BalanceRowSerializer()
SERVICE_USE = ServiceUseCreditsSerializer()
REFUND = RefundSerializer()
REFUNDED = RefundResponseSerializer()
GRANT = GrantSerializer()
GRANTED = GrantResponseSerializer()
RESERVE = ReserveSerializer()
RESERVED = ReserveResponseSerializer()
COMMIT = CommitReservationSerializer()
COMMITTED = CommitReservationResponseSerializer()
RELEASE = ReleaseReservationSerializer()
RENEWALS = RenewSubscriptionsResponseSerializer()
RELEASED = ReleaseReservationResponseSerializer()
REDEEM_PENDING = RedeemPendingGiftsSerializer()
ARRIVED = RedeemPendingGiftsResponseSerializer()
