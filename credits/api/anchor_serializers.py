"""The serializer of anchors, which are public."""

from rest_framework import serializers

from credits.api.wire_fields import TextField, TimestampField
from credits.api.wire_serializers import WireSerializer


class AnchorSerializer(WireSerializer):
    """The state of the ledger at the end of a UTC day. Keep it to detect a later change."""

    day = serializers.DateField(help_text="The day, in UTC.")
    count = serializers.IntegerField(help_text="Number of users with transactions.")
    sum = serializers.DecimalField(
        max_digits=20,
        decimal_places=4,
        help_text="Sum of their posted balances in credits: a string with 4 decimals, exact.",
    )
    digest = TextField(
        source="hex", help_text="SHA-256 over their newest digests: 64 hexadecimal digits."
    )
    createdAt = TimestampField(source="created_at", help_text="When the anchor was made.")


ANCHOR = AnchorSerializer()
