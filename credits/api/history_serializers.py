"""Serializers of lists of transactions and of the usage by day."""

from typing import Any

from rest_framework import serializers

from credits.api.query_fields import DayField, EndTimestamp
from credits.api.wire_fields import (
    APP_ID_LENGTH,
    AmountField,
    OneOfField,
    ShortTextField,
    TextField,
    TimestampField,
)
from credits.api.wire_serializers import WireSerializer
from credits.ledger.usage import InvalidSpan
from credits.models import Transaction

Field = serializers.Field[Any, Any, Any, Any]


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

    type = OneOfField(
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
        start = TimestampField(
            source="created_at__gte",
            required=False,
            help_text="Only transactions since this time, or since the start of this UTC day.",
        )
        return {**super().get_fields(), "from": start}


class UsageQuerySerializer(SpanSerializer):
    """The first and the last UTC day of the usage, inclusive."""

    to = DayField(required=False, help_text="The last UTC day; today by default.")

    def get_fields(self) -> dict[str, Field]:
        """Add `from`, a keyword of Python."""
        text = "The first UTC day: at most 366 days before the last one, 30 by default."
        return {**super().get_fields(), "from": DayField(required=False, help_text=text)}


class UsageStatSerializer(WireSerializer):
    """The credits spent in one app on one UTC day."""

    date = serializers.DateField(help_text="The UTC day.")
    appId = TextField(source="app_id", help_text="The app.")
    creditsUsed = AmountField(
        source="credits_used", help_text="Credits spent in the app on that day."
    )
    transactions = serializers.IntegerField(help_text="The number of transactions.")


TRANSACTION_QUERY = TransactionQuerySerializer()
USAGE_QUERY = UsageQuerySerializer()
USAGE_STAT = UsageStatSerializer()
