"""What users, admins and services send and read about Cloud Sync."""

from rest_framework import serializers

from credits.api.wire_fields import Always, Amount, Timestamp, UserId
from credits.api.wire_serializers import KeyedSerializer, WireSerializer
from credits.models import SyncSubscription

INTERVALS = SyncSubscription.Interval.choices


class SyncStatusSerializer(WireSerializer):
    """Whether sync is on, how it is paid, and when next."""

    active = serializers.BooleanField(help_text="Whether Cloud Sync is on.")
    interval = serializers.ChoiceField(choices=INTERVALS, help_text="How often it is paid.")
    nextChargeAt = Timestamp(
        source="next_charge_at",
        allow_null=True,
        help_text="When the next period is charged; null when none will be.",
    )
    pausedAt = Timestamp(
        source="paused_at",
        allow_null=True,
        help_text="When it was paused because the credits did not suffice.",
    )
    gifted = serializers.BooleanField(
        help_text="Whether it is a gift of an admin, which costs nothing."
    )


class ActivateSyncSerializer(KeyedSerializer):
    """How often to pay."""

    interval = serializers.ChoiceField(
        choices=INTERVALS, default="monthly", help_text="How often to pay."
    )


class ActivateSyncResponseSerializer(WireSerializer):
    """The answer to an activation; nothing is charged while a paid period lasts."""

    success = Always(True, help_text="Always true.")
    active = Always(True, help_text="Always true.")
    interval = serializers.ChoiceField(choices=INTERVALS, help_text="How often it is paid.")
    nextChargeAt = Timestamp(source="next_charge_at", help_text="When the next period is charged.")
    amountCharged = Amount(
        source="charged", help_text="Credits charged now: 0 inside a paid period."
    )


class DeactivateSyncResponseSerializer(WireSerializer):
    """The answer to a deactivation."""

    success = Always(True, help_text="Always true.")


class ChangeSyncIntervalSerializer(WireSerializer):
    """How often to pay from the next renewal on."""

    interval = serializers.ChoiceField(
        choices=INTERVALS, help_text="How often to pay from the next renewal on."
    )


class ChangeSyncIntervalResponseSerializer(WireSerializer):
    """The new interval: what it costs now, and from when on it is charged."""

    success = Always(True, help_text="Always true.")
    interval = serializers.ChoiceField(choices=INTERVALS, help_text="The new interval.")
    amountCharged = Amount(
        source="cost", help_text="Credits that each period will cost. Nothing is charged now."
    )
    effectiveAt = Timestamp(
        source="effective_at", help_text="When the first period of the new length begins."
    )


class SyncGiftResponseSerializer(WireSerializer):
    """The state of a present."""

    success = Always(True, help_text="Always true.")
    userId = UserId(source="user_id", help_text="The user.")
    gifted = serializers.BooleanField(help_text="Whether Cloud Sync is a gift.")
    active = serializers.BooleanField(help_text="Whether Cloud Sync is on.")


SYNC_STATUS = SyncStatusSerializer()
ACTIVATE = ActivateSyncSerializer()
ACTIVATED = ActivateSyncResponseSerializer()
DEACTIVATED = DeactivateSyncResponseSerializer()
CHANGE_INTERVAL = ChangeSyncIntervalSerializer()
INTERVAL_CHANGED = ChangeSyncIntervalResponseSerializer()
SYNC_GIFT = SyncGiftResponseSerializer()
