"""Serializer fields of query parameters."""

import re
from datetime import datetime
from typing import Any

from rest_framework import serializers

from credits.api.wire_fields import TimestampField

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DIGITS = re.compile(r"\d+|-[1-9]\d*", re.ASCII)


class QueryInteger(serializers.IntegerField):
    """A whole number in a query, in ASCII digits. Python also accepts `1_0` and other scripts."""

    default_error_messages = {"invalid": "A whole number in digits is expected."}

    def to_internal_value(self, data: object) -> int:
        """Accept ASCII digits only, and a sign, so that the error of -1 names the minimum."""
        if not isinstance(data, str) or not _DIGITS.fullmatch(data):
            self.fail("invalid")
        return super().to_internal_value(data)


class DayField(serializers.DateField):
    """A date such as `2026-11-22`. ISO 8601's other notations, such as `20261122`, are invalid."""

    def to_internal_value(self, data: Any) -> Any:
        """Accept the form YYYY-MM-DD only."""
        if not isinstance(data, str) or not _DATE.fullmatch(data):
            self.fail("invalid", format="YYYY-MM-DD")
        return super().to_internal_value(data)


class EndTimestamp(TimestampField):
    """The inclusive end of a span: a date means its last microsecond."""

    def of_day(self, start: datetime) -> datetime:
        """Return the day's last microsecond."""
        return start.replace(hour=23, minute=59, second=59, microsecond=999_999)
