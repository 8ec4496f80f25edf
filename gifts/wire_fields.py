"""Serializer fields of gifts, in addition to those of credits."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from credits import email_addresses
from credits.api.wire_fields import Credits, Text
from credits.email_addresses import mailbox
from gifts.models import LARGEST_GIFT, SMALLEST_GIFT


@extend_schema_field(
    {
        "type": "number",
        "minimum": int(SMALLEST_GIFT),
        "maximum": int(LARGEST_GIFT),
        "multipleOf": 0.0001,
    }
)
class GiftCredits(Credits):
    """The credits of a gift: 1 to 10,000."""

    default_error_messages = {"gift": "A gift holds 1 to 10,000 credits."}

    def to_internal_value(self, data: object) -> Any:
        """Accept amounts of 1 to 10,000 credits."""
        amount = super().to_internal_value(data)
        if not SMALLEST_GIFT <= amount <= LARGEST_GIFT:
            self.fail("gift")
        return amount


class Email(serializers.EmailField):
    """An e-mail address, converted to the canonical form that is stored and compared."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": email_addresses.LENGTH, **options})

    def to_internal_value(self, data: object) -> str:
        """Accept strings only."""
        if not isinstance(data, str):
            self.fail("invalid")
        return mailbox(super().to_internal_value(data)) or self.fail("invalid")


class GiverName(Text):
    """The name of a giver, which is public and must not be an e-mail address."""

    default_error_messages = {"address": "The name must not contain an e-mail address."}
    pattern = r"^[^\u0000@\uff20]*$"

    def to_internal_value(self, data: object) -> str:
        """Accept strings without an at sign."""
        name = super().to_internal_value(data)
        if "@" in name or "\uff20" in name:
            self.fail("address")
        return name


@extend_schema_field({"type": "string", "example": "ABCDEFGHJK"})
class Code(serializers.Field[Any, Any, str, Any]):
    """A gift's code, without dashes."""

    def to_representation(self, value: str) -> str:
        """Return the code unchanged."""
        return value


@extend_schema_field({"type": "string", "format": "uri"})
class GiftUrl(Code):
    """The URL of a gift's public page."""

    def to_representation(self, value: str) -> str:
        """Return `{BASE_URL}/g/ABCDEFGHJK`."""
        return f"{settings.BASE_URL}/g/{value}"


class EqualsField(serializers.BooleanField):
    """Whether the source equals a constant."""

    def __init__(self, value: str, **options: Any) -> None:
        self.value = value
        super().__init__(read_only=True, **options)

    def to_representation(self, value: object) -> bool:
        """Return whether `value` equals the constant."""
        return value == self.value


@extend_schema_field({"type": "integer", "enum": [0, 1]})
class CountField(EqualsField):
    """Whether the source equals a constant, as 0 or 1."""

    def to_representation(self, value: object) -> int:  # type: ignore[override]
        """Return 1 if `value` equals the constant, else 0."""
        return int(super().to_representation(value))
