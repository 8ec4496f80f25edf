"""The kinds of values that gifts have on the wire, besides those of credits."""

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
    """What a gift may hold: 1 to 10,000 credits."""

    default_error_messages = {"gift": "A gift holds 1 to 10,000 credits."}

    def to_internal_value(self, data: object) -> Any:
        """Take amounts that a gift may hold."""
        amount = super().to_internal_value(data)
        if not SMALLEST_GIFT <= amount <= LARGEST_GIFT:
            self.fail("gift")
        return amount


class Email(serializers.EmailField):
    """An e-mail address, in the one form that is stored and compared."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": email_addresses.LENGTH, **options})

    def to_internal_value(self, data: object) -> str:
        """Take strings only."""
        if not isinstance(data, str):
            self.fail("invalid")
        return mailbox(super().to_internal_value(data)) or self.fail("invalid")


class GiverName(Text):
    """The name that a giver shows to strangers; never an e-mail address."""

    default_error_messages = {"address": "An e-mail address is shown to nobody; send a name."}
    pattern = r"^[^\u0000@\uff20]*$"

    def to_internal_value(self, data: object) -> str:
        """Take texts without an at sign."""
        name = super().to_internal_value(data)
        if "@" in name or "\uff20" in name:
            self.fail("address")
        return name


@extend_schema_field({"type": "string", "example": "ABCDEFGHJK"})
class Code(serializers.Field[Any, Any, str, Any]):
    """A gift's code, without dashes."""

    def to_representation(self, value: str) -> str:
        """Return it as it is."""
        return value


@extend_schema_field({"type": "string", "format": "uri"})
class GiftUrl(Code):
    """The address of a gift's public page."""

    def to_representation(self, value: str) -> str:
        """Return `{BASE_URL}/g/ABCDEFGHJK`."""
        return f"{settings.BASE_URL}/g/{value}"


class Is(serializers.BooleanField):
    """Whether something has this value."""

    def __init__(self, value: str, **options: Any) -> None:
        self.value = value
        super().__init__(read_only=True, **options)

    def to_representation(self, value: object) -> bool:
        """Compare."""
        return value == self.value


@extend_schema_field({"type": "integer", "enum": [0, 1]})
class Count(Is):
    """The same as a number, 0 or 1."""

    def to_representation(self, value: object) -> int:  # type: ignore[override]
        """Count."""
        return int(super().to_representation(value))
