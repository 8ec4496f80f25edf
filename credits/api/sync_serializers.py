"""What users, admins and services send and read about Cloud Sync."""

from rest_framework import serializers

from credits.api.wire_fields import Always, Amount, Timestamp, UserId
from credits.api.wire_serializers import KeyedSerializer, WireSerializer
from credits.models import SyncSubscription

INTERVALS = SyncSubscription.Interval.choices


class SyncStatusSerializer(WireSerializer):
    """Whether sync is on, how it is paid, and when next."""

    active = serializers.BooleanField()
    interval = serializers.ChoiceField(choices=INTERVALS)
    nextChargeAt = Timestamp(source="next_charge_at", allow_null=True)
    pausedAt = Timestamp(source="paused_at", allow_null=True)
    gifted = serializers.BooleanField()


class ActivateSerializer(KeyedSerializer):
    """How often to pay."""

    interval = serializers.ChoiceField(choices=INTERVALS, default="monthly")


class ActivatedSerializer(WireSerializer):
    """The answer to an activation; nothing is charged while a paid period lasts."""

    success = Always(True)
    active = Always(True)
    interval = serializers.ChoiceField(choices=INTERVALS)
    nextChargeAt = Timestamp(source="next_charge_at")
    amountCharged = Amount(source="charged")


class DeactivatedSerializer(WireSerializer):
    """The answer to a deactivation."""

    success = Always(True)


class ChangeIntervalSerializer(WireSerializer):
    """How often to pay from the next renewal on."""

    interval = serializers.ChoiceField(choices=INTERVALS)


class IntervalChangedSerializer(WireSerializer):
    """The new interval: what it costs now, and from when on it is charged."""

    success = Always(True)
    interval = serializers.ChoiceField(choices=INTERVALS)
    amountCharged = Amount(source="cost")
    effectiveAt = Timestamp(source="effective_at")


class SyncGiftSerializer(WireSerializer):
    """The state of a present."""

    success = Always(True)
    userId = UserId(source="user_id")
    gifted = serializers.BooleanField()
    active = serializers.BooleanField()


SYNC_STATUS = SyncStatusSerializer()
ACTIVATE = ActivateSerializer()
ACTIVATED = ActivatedSerializer()
DEACTIVATED = DeactivatedSerializer()
CHANGE_INTERVAL = ChangeIntervalSerializer()
INTERVAL_CHANGED = IntervalChangedSerializer()
SYNC_GIFT = SyncGiftSerializer()
