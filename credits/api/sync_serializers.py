"""Serializers of Cloud Sync."""

from rest_framework import serializers

from credits.api.wire_fields import (
    AmountField,
    ConstantField,
    OneOfField,
    TimestampField,
    UserIdField,
)
from credits.api.wire_serializers import KeyedSerializer, WireSerializer
from credits.models import SyncSubscription

INTERVALS = SyncSubscription.Interval.choices


class SyncStatusSerializer(WireSerializer):
    """The status, the interval and the next charge of Cloud Sync."""

    active = serializers.BooleanField(help_text="Whether Cloud Sync is active.")
    interval = serializers.ChoiceField(choices=INTERVALS, help_text="How often it is paid.")
    nextChargeAt = TimestampField(
        source="next_charge_at",
        allow_null=True,
        help_text="When the next period is charged; null if none will be.",
    )
    pausedAt = TimestampField(
        source="paused_at",
        allow_null=True,
        help_text="When it was paused because the credits did not suffice.",
    )
    gifted = serializers.BooleanField(
        help_text="Whether it is an admin's gift, which is not charged."
    )


class ActivateSyncSerializer(KeyedSerializer):
    """The billing interval."""

    interval = OneOfField(
        choices=INTERVALS, default="monthly", allow_null=True, help_text="How often to pay."
    )


class ActivateSyncResponseSerializer(WireSerializer):
    """The answer to an activation. Nothing is charged before the end of a paid period."""

    success = ConstantField(True, help_text="Always true.")
    active = ConstantField(True, help_text="Always true.")
    interval = serializers.ChoiceField(choices=INTERVALS, help_text="How often it is paid.")
    nextChargeAt = TimestampField(
        source="next_charge_at", help_text="When the next period is charged."
    )
    amountCharged = AmountField(
        source="charged", help_text="Credits charged now: 0 within a paid period."
    )


class DeactivateSyncResponseSerializer(WireSerializer):
    """The answer to a deactivation."""

    success = ConstantField(True, help_text="Always true.")


class ChangeSyncIntervalSerializer(WireSerializer):
    """The billing interval from the next renewal on."""

    interval = OneOfField(choices=INTERVALS, help_text="How often to pay from the next renewal on.")


class ChangeSyncIntervalResponseSerializer(WireSerializer):
    """The new interval, the current cost of a period, and when the interval takes effect."""

    success = ConstantField(True, help_text="Always true.")
    interval = serializers.ChoiceField(choices=INTERVALS, help_text="The new interval.")
    amountCharged = AmountField(
        source="cost", help_text="Credits that each period will cost. Nothing is charged now."
    )
    effectiveAt = TimestampField(
        source="effective_at", help_text="When the first period of the new interval begins."
    )


class SyncGiftResponseSerializer(WireSerializer):
    """The state of a gift of Cloud Sync."""

    success = ConstantField(True, help_text="Always true.")
    userId = UserIdField(source="user_id", help_text="The user.")
    gifted = serializers.BooleanField(help_text="Whether Cloud Sync is a gift.")
    active = serializers.BooleanField(help_text="Whether Cloud Sync is active.")


SYNC_STATUS = SyncStatusSerializer()
ACTIVATE = ActivateSyncSerializer()
ACTIVATED = ActivateSyncResponseSerializer()
DEACTIVATED = DeactivateSyncResponseSerializer()
CHANGE_INTERVAL = ChangeSyncIntervalSerializer()
INTERVAL_CHANGED = ChangeSyncIntervalResponseSerializer()
SYNC_GIFT = SyncGiftResponseSerializer()
