"""Serializers of reservations."""

from typing import Any

from rest_framework import serializers

from credits.api.metered_fields import UnitsField
from credits.api.serializers import DESCRIPTION_LENGTH, PricedSerializer
from credits.api.wire_fields import (
    AmountField,
    ConstantField,
    CreditsField,
    ReasonField,
    StrictIntegerField,
    TextField,
    TimestampField,
    UserIdField,
    UuidField,
)
from credits.api.wire_serializers import KeyedSerializer, Variant, WireSerializer
from credits.ledger import reservations


class ReserveSerializer(PricedSerializer):
    """Credits to hold; `reason` is `APP` or `APP:WHAT`."""

    userId = UserIdField(source="user_id", help_text="The user whose credits are held.")
    reason = ReasonField(
        max_length=200,
        help_text="`APP` or `APP:WHAT`; the part before the colon is the transaction's `appId`.",
    )
    ttlSeconds = StrictIntegerField(
        source="ttl_seconds",
        min_value=int(reservations.SHORTEST_TTL.total_seconds()),
        max_value=int(reservations.LONGEST_TTL.total_seconds()),
        default=int(reservations.DEFAULT_TTL.total_seconds()),
        allow_null=True,
        help_text="The lifetime of the reservation, in seconds.",
    )


class ReserveResponseSerializer(WireSerializer):
    """The answer to a reservation."""

    reservationId = UuidField(source="reservation.id", help_text="The id to commit or release.")
    balance = AmountField(source="balance.available", help_text="Credits that can be spent now.")
    expiresAt = TimestampField(
        source="reservation.expires_at", help_text="When the reservation expires."
    )


class ReleaseReservationSerializer(KeyedSerializer):
    """The reservation to release."""

    reservationId = UuidField(source="reservation_id", help_text="The reservation.")


class CommitReservationSerializer(ReleaseReservationSerializer):
    """The reservation to commit, and optionally how much of it to spend."""

    variants = {
        "ByAmount": Variant("An amount, or the whole reservation.", without=("units",)),
        "ByUnits": Variant(
            "The units used of a metered operation.", required=("units",), without=("amount",)
        ),
    }

    amount = CreditsField(
        required=False,
        allow_null=True,
        default=None,
        help_text="Credits to spend, at most the held credits; all of them by default.",
    )
    units = UnitsField(
        required=False,
        allow_null=True,
        help_text="The units that a metered operation used, at the prices of the reservation.",
    )
    description = TextField(
        max_length=DESCRIPTION_LENGTH,
        required=False,
        allow_null=True,
        allow_blank=True,
        default=None,
        help_text="A text for the user; by default the reservation's reason.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Raise ValidationError if both an amount and units are given."""
        # The two could contradict each other. A metered commit has its price from the units.
        if attrs["amount"] is not None and attrs.get("units") is not None:
            raise serializers.ValidationError({"amount": ["An amount is not allowed with units."]})
        return attrs


class CommitReservationResponseSerializer(WireSerializer):
    """The answer to a commit."""

    success = ConstantField(True, help_text="Always true.")
    transactionId = UuidField(
        source="reservation.transaction_id", help_text="The transaction that spent the credits."
    )
    amount = AmountField(
        source="reservation.committed_amount", help_text="Credits that were spent."
    )
    balance = AmountField(source="balance.available", help_text="Credits that can be spent now.")
    unpaid = AmountField(
        required=False,  # only for prices by units, which the earlier service did not have
        help_text="Credits of the price that could not be taken. Present only for prices by units.",
    )


class ReleaseReservationResponseSerializer(WireSerializer):
    """The answer to a release."""

    success = ConstantField(True, help_text="Always true.")
    balance = AmountField(source="balance.available", help_text="Credits that can be spent now.")


RESERVE = ReserveSerializer()
RESERVED = ReserveResponseSerializer()
COMMIT = CommitReservationSerializer()
COMMITTED = CommitReservationResponseSerializer()
RELEASE = ReleaseReservationSerializer()
RELEASED = ReleaseReservationResponseSerializer()
