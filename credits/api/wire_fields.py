"""Serializer fields: the values that the API accepts, and how it sends them."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.fields import empty

from credits import amounts, email_addresses, labels, pseudonyms, timestamps

USUAL_LENGTH = 1000
APP_ID_LENGTH = 100
_CONTROLS = r"\u0000-\u001f\u007f-\u009f"
# The database function takes the part before the colon as the transaction's app, which has at most
# 100 characters.
REASON = rf"^[^\s:{_CONTROLS}][^:{_CONTROLS}]{{0,99}}(:[^{_CONTROLS}]*)?$"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_LARGEST_INTEGER = 2**63 - 1


def number(amount: Decimal) -> int | float:
    """Return credits as a JSON number: `5`, `0.1`.

    This is exact: a double represents every decimal of up to 15 digits without loss.
    """
    # Whole amounts without ".0", as clients of the earlier service expect integers.
    whole = int(amount)
    return whole if whole == amount else float(amount)


@extend_schema_field(
    {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": float(amounts.LARGEST),
    }
)
class CreditsField(serializers.Field[Decimal, Any, int | float, Any]):
    """A positive amount as input, any amount as output. More than 4 decimal places is an error.

    The rounding error of doubles is removed from input: 0.6000000000000001 is read as 0.6.
    """

    default_error_messages = {
        "type": "A number is expected.",
        "range": "The amount must be more than 0, with at most 4 decimal places and 15 digits.",
    }

    def to_internal_value(self, data: object) -> Decimal:
        """Parse a JSON number as an exact decimal, without the rounding error of doubles."""
        # The usual value first. `type() is`, because a bool is an instance of int.
        if type(data) is int and 0 < data < amounts.LARGEST:
            return Decimal(data)
        if isinstance(data, bool) or not isinstance(data, int | Decimal):
            self.fail("type")
        try:
            return amounts.positive(amounts.without_noise(data))
        except amounts.InvalidAmount:
            return self.fail("range")

    def to_representation(self, value: Decimal) -> int | float:
        """Return a JSON number."""
        return number(value)


@extend_schema_field({"type": "number", "minimum": 0, "maximum": float(amounts.LARGEST)})
class ThresholdField(CreditsField):
    """An amount that may be 0, such as a limit."""

    default_error_messages = {
        "range": "The amount must be 0 or more, with at most 4 decimal places and 15 digits."
    }

    def to_internal_value(self, data: object) -> Decimal:
        """Parse a JSON number as an exact decimal of 0 or more."""
        # In Python, False equals 0; it is not an amount.
        if not isinstance(data, bool) and isinstance(data, int | Decimal) and data == 0:
            return Decimal(0)
        return super().to_internal_value(data)


@extend_schema_field({"type": "number"})
class AmountField(CreditsField):
    """A signed amount, for output only."""


def is_usual(text: str) -> bool:
    """Return whether a non-empty text is printable ASCII without outer blanks."""
    return text.isascii() and text.isprintable() and text[0] != " " != text[-1]


class TextField(serializers.CharField):
    """An untrimmed string; numbers are not converted to strings.

    `pattern` is the regular expression of valid strings for the API's schema.
    """

    pattern = r"^[^\u0000]*$"

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False, **options})
        # Other subclasses may have stricter rules.
        judges_alike = type(self) in {TextField, ShortTextField, UserIdField}
        self._longest_usual = (self.max_length or USUAL_LENGTH) if judges_alike else 0

    def run_validation(self, data: Any = empty) -> Any:
        """Accept common strings at once. DRF's full validation takes ten times as long."""
        if type(data) is str and 0 < len(data) <= self._longest_usual and is_usual(data):
            return data
        return super().run_validation(data)

    def to_internal_value(self, data: object) -> str:
        """Accept strings only."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class ShortTextField(TextField):
    """A short string without control characters, such as an id, a key or the name of an app."""

    default_error_messages = {**labels.MESSAGES}
    pattern = labels.LABEL

    def to_internal_value(self, data: object) -> str:
        """Accept strings with visible characters and without control characters."""
        text = super().to_internal_value(data)
        if text and (error := self.error_for(text)):
            self.fail(error)
        return text

    def error_for(self, text: str) -> str | None:
        """Return the key of the error message for `text`, or None."""
        return labels.error_for_label(text)


class ReasonField(ShortTextField):
    """The reason of a reservation: `APP` or `APP:WHAT`, with an app of 1 to 100 characters."""

    default_error_messages = {"app": "The part before ':' must name the app (1 to 100 characters)."}
    pattern = REASON

    def to_internal_value(self, data: object) -> str:
        """Accept strings that begin with an app."""
        reason = super().to_internal_value(data)
        if not re.match(REASON, reason):
            self.fail("app")
        return reason


class UserIdField(ShortTextField):
    """A user id: 1 to 255 characters, without control characters or outer blanks.

    Ids of erased users are rejected, so that nobody spends their credits or grants them any.
    """

    default_error_messages = {"erased": "This id is reserved for an erased user."}
    pattern = labels.USER_ID

    def __init__(self, **options: Any) -> None:
        longest = labels.LONGEST_USER_ID
        super().__init__(**{"max_length": longest, "help_text": "The user's id.", **options})

    def run_validation(self, data: Any = empty) -> Any:
        """Reject ids of erased users, which are valid texts."""
        if isinstance(data, str) and pseudonyms.is_erased(data):
            self.fail("erased")
        return super().run_validation(data)

    def error_for(self, text: str) -> str | None:
        """Return the key of the error message for `text`, or None."""
        return labels.error_for_user_id(text)


class UuidField(serializers.UUIDField):
    """A UUID as a string with hyphens."""

    def to_internal_value(self, data: object) -> Any:
        """Accept strings in the form with hyphens only; Python also accepts other forms."""
        if not isinstance(data, str) or not _UUID.fullmatch(data):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


class StrictIntegerField(serializers.IntegerField):
    """A whole number as a JSON number: `5` or the equal `5.0`."""

    def to_internal_value(self, data: object) -> int:
        """Accept whole numbers only, no booleans or strings."""
        if isinstance(data, bool) or not isinstance(data, int | Decimal):
            self.fail("invalid")
        # Larger values fit into no column. `int(data)` of a huge decimal such as 1e999999 would
        # need too much memory, so the range is compared first.
        if not -_LARGEST_INTEGER <= data <= _LARGEST_INTEGER or data != int(data):
            self.fail("invalid")
        return int(data)


class OneOfField(serializers.ChoiceField):
    """A text of a list. The error names the list."""

    default_error_messages = {"invalid_choice": "One of these is expected: {choices}."}

    def to_internal_value(self, data: Any) -> Any:
        """Accept the texts of the list only."""
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice", choices=", ".join(self.choices))
        return data


class TimestampField(serializers.Field[Any, Any, str, Any]):
    """A timestamp. Output: UTC with milliseconds. Input: ISO 8601, where a date means its start."""

    default_error_messages = {"invalid": "A date or a date and time in ISO 8601 is expected."}

    def to_internal_value(self, data: object) -> datetime:
        """Parse a date or a timestamp; without an offset it is UTC."""
        if not isinstance(data, str):
            return self.fail("invalid")
        try:
            moment = timestamps.parse(data)
        except ValueError:
            return self.fail("invalid")
        return moment if ":" in data else self.of_day(moment)

    def of_day(self, start: datetime) -> datetime:
        """Return the time that a date without a time means: its start."""
        return start

    def to_representation(self, value: datetime) -> str:
        """Return `2026-11-22T22:25:48.962Z`."""
        return _written(value)


@lru_cache(maxsize=256)
def _written(moment: datetime) -> str:
    """Return a timestamp as text. Cached, because a transaction contains it twice."""
    # The offset `+00:00` has six characters.
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


class ConstantField(serializers.Field[Any, Any, Any, Any]):
    """A field with the same value in every answer."""

    def __init__(self, value: Any, *, optional: bool = False, **options: Any) -> None:
        self.value = value
        presence: dict[str, Any] = {"required": False} if optional else {"read_only": True}
        super().__init__(source="*", **presence, **options)
        kind = "boolean" if isinstance(value, bool) else "string"
        extend_schema_field({"type": kind, "enum": [value]})(self)  # type: ignore[type-var]

    def to_representation(self, value: object) -> Any:
        """Return the constant."""
        return self.value


class EmailField(serializers.EmailField):
    """An e-mail address, converted to the canonical form that is stored and compared."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": email_addresses.LENGTH, **options})

    def to_internal_value(self, data: object) -> str:
        """Accept strings only."""
        if not isinstance(data, str):
            self.fail("invalid")
        return email_addresses.mailbox(super().to_internal_value(data)) or self.fail("invalid")
