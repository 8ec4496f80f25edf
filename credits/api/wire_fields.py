"""The kinds of values on the wire: what is taken, what is refused, how they are sent."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from typing import Any

from django.utils.dateparse import parse_date, parse_datetime
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from credits import amounts

METADATA_BYTES = 16 * 1024
METADATA_LEVELS = 100
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def number(amount: Decimal) -> int | float:
    """Return credits as a JSON number: `5`, `0.1`.

    Exact: a double writes back every decimal of up to 15 digits as it was.
    """
    whole = int(amount)
    return whole if whole == amount else float(amount)


@extend_schema_field(
    {"type": "number", "exclusiveMinimum": 0, "maximum": float(amounts.LARGEST), "example": 0.5}
)
class Credits(serializers.Field[Decimal, Any, int | float, Any]):
    """A positive amount in; any amount out. More than 4 decimal places is an error."""

    default_error_messages = {
        "type": "A number is expected.",
        "range": "The amount must be more than 0, with at most 4 decimal places and 15 digits.",
    }

    def to_internal_value(self, data: object) -> Decimal:
        """Take a JSON number as the exact decimal that was written."""
        if isinstance(data, bool) or not isinstance(data, int | Decimal):
            self.fail("type")
        try:
            return amounts.positive(data)
        except amounts.InvalidAmount:
            return self.fail("range")

    def to_representation(self, value: Decimal) -> int | float:
        """Return a JSON number."""
        return number(value)


@extend_schema_field({"type": "number", "example": -2})
class Amount(Credits):
    """A signed amount, only sent."""


class Text(serializers.CharField):
    """A string as it was sent: a number is not a string, and nothing is trimmed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False, **options})

    def to_internal_value(self, data: object) -> str:
        """Take strings only."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Label(Text):
    """A short string without control characters: an id, a key, a name of an app."""

    default_error_messages = {"control": "Control characters are not allowed."}

    def to_internal_value(self, data: object) -> str:
        """Take strings without control characters."""
        text = super().to_internal_value(data)
        if _CONTROL.search(text):
            self.fail("control")
        return text


class UserId(Label):
    """A user's id: 1 to 255 printable characters."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": 255, **options})


class Uuid(serializers.UUIDField):
    """A UUID in its usual form, as a string."""

    def to_internal_value(self, data: object) -> Any:
        """Take strings only."""
        if not isinstance(data, str):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


class Whole(serializers.IntegerField):
    """A whole number, written as a JSON number."""

    def to_internal_value(self, data: object) -> int:
        """Take integers only: no booleans, no strings."""
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return data


@extend_schema_field({"type": "object", "additionalProperties": {}})
class JsonObject(serializers.Field[Any, Any, Any, Any]):
    """A JSON object of at most 16 KiB, numbers written out, and 100 levels; stored as it is."""

    default_error_messages = {
        "type": "A JSON object is expected.",
        "size": "At most 16 KiB of JSON are allowed.",
        "levels": "At most 100 levels of nesting are allowed.",
        "text": "NUL characters, lone surrogates and endless numbers are not allowed.",
    }

    def to_internal_value(self, data: object) -> Any:
        """Take objects that PostgreSQL can store."""
        if not isinstance(data, dict):
            self.fail("type")
        if not _nests_within(METADATA_LEVELS, data):
            self.fail("levels")
        try:
            text = json.dumps(data, default=_in_full, ensure_ascii=False, separators=(",", ":"))
            size = len(text.encode())
        except (ValueError, OverflowError):
            self.fail("text")
        if _NUL.search(text):
            self.fail("text")
        if size > METADATA_BYTES:
            self.fail("size")
        return data

    def to_representation(self, value: Any) -> Any:
        """Return it as it is."""
        return value


def _in_full(number: Decimal) -> str:
    """Return a number as PostgreSQL writes it, without exponent; raise ValueError if it has no end.

    `1e308` is sent in 5 bytes and comes back in 309: a page of such metadata would fill the memory.
    """
    value = float(number)
    if not isfinite(value):
        raise ValueError("An endless number")
    return format(Decimal(repr(value)), "f")


def _nests_within(levels: int, value: object) -> bool:
    """Tell whether `value` can be written back: the encoder gives up at some depth of its own."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return True
    return levels > 0 and all(_nests_within(levels - 1, one) for one in value)


@extend_schema_field({"type": "string", "format": "date-time"})
class Timestamp(serializers.Field[Any, Any, str, Any]):
    """A moment: UTC with 3 decimals out; ISO 8601 in, where a date means its first moment."""

    default_error_messages = {"invalid": "A date or a date and time in ISO 8601 is expected."}

    def to_internal_value(self, data: object) -> datetime:
        """Take a date or a moment; without an offset it is UTC."""
        try:
            if day := parse_date(str(data)):
                return self.of_day(datetime(day.year, day.month, day.day, tzinfo=UTC))
            if moment := parse_datetime(str(data)):
                return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            return self.fail("invalid")
        return self.fail("invalid")

    def of_day(self, start: datetime) -> datetime:
        """Return the moment that a date stands for."""
        return start

    def to_representation(self, value: datetime) -> str:
        """Return `2026-11-22T22:25:48.962Z`."""
        return value.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


class EndTimestamp(Timestamp):
    """The end of a span, inclusive: a date means its last moment."""

    def of_day(self, start: datetime) -> datetime:
        """Return the day's last microsecond."""
        return start.replace(hour=23, minute=59, second=59, microsecond=999_999)


class Always(serializers.Field[Any, Any, Any, Any]):
    """A field that says the same in every answer."""

    def __init__(self, value: Any) -> None:
        self.value = value
        super().__init__(source="*", read_only=True)
        kind = "boolean" if isinstance(value, bool) else "string"
        extend_schema_field({"type": kind, "enum": [value]})(self)  # type: ignore[type-var]

    def to_representation(self, value: object) -> Any:
        """Return the constant."""
        return self.value
