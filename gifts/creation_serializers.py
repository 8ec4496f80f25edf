"""The serializer of a gift to create, and its fields."""

from datetime import datetime, timedelta
from typing import Any, cast

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from credits.api.wire_fields import (
    APP_ID_LENGTH,
    CreditsField,
    EmailField,
    OneOfField,
    ShortTextField,
    StrictIntegerField,
    TextField,
    TimestampField,
)
from credits.api.wire_serializers import KeyedSerializer, Variant
from gifts.codes import DEFAULT_VALIDITY, LONGEST_VALIDITY, NewGift
from gifts.models import LARGEST_GIFT, MESSAGE_LENGTH, SMALLEST_GIFT, GiftCode

GIVER_NAME_LENGTH = 80


class InvalidGift(serializers.ValidationError):
    """A field of the gift is invalid. The web app shows only `message`, so it names a field."""

    def __init__(self, detail: dict[str, list[str]]) -> None:
        field = "targetEmail" if "targetEmail" in detail else next(iter(detail))
        self.message = f"{field}: {detail[field][0]}"
        super().__init__(detail)


@extend_schema_field(
    {
        "type": "number",
        "minimum": int(SMALLEST_GIFT),
        "maximum": int(LARGEST_GIFT),
    }
)
class GiftCredits(CreditsField):
    """The credits of a gift: 1 to 10,000."""

    default_error_messages = {"gift": "A gift holds 1 to 10,000 credits."}

    def to_internal_value(self, data: object) -> Any:
        """Accept amounts of 1 to 10,000 credits."""
        amount = super().to_internal_value(data)
        if not SMALLEST_GIFT <= amount <= LARGEST_GIFT:
            self.fail("gift")
        return amount


class GiverNameField(TextField):
    """The name of a giver, which is public and must not be an e-mail address."""

    default_error_messages = {"address": "The name must not contain an e-mail address."}
    pattern = r"^[^\u0000@\uff20]*$"

    def to_internal_value(self, data: object) -> str:
        """Accept strings without an at sign."""
        name = super().to_internal_value(data)
        if "@" in name or "\uff20" in name:
            self.fail("address")
        return name


class CreateGiftSerializer(KeyedSerializer):
    """A gift to create; the web client sends `credits` instead of `totalCredits`."""

    aliases = ("credits",)
    variants = {
        "Simple": Variant(
            "A gift for anybody who has the code.",
            required=("totalCredits",),
            without=("targetEmail",),
            constants={"type": "simple"},
        ),
        "Personalized": Variant(
            "A gift for one e-mail address.",
            required=("totalCredits", "targetEmail"),
            constants={"type": "personalized"},
        ),
    }

    totalCredits = GiftCredits(
        source="total_credits",
        required=False,
        allow_null=True,
        help_text="Credits to put into the gift.",
    )
    credits = GiftCredits(required=False, allow_null=True)
    type = OneOfField(
        choices=GiftCode.Type.choices,
        required=False,
        allow_null=True,
        help_text="`simple`: for anybody with the code. `personalized`: for one e-mail address, "
        "the default with a `targetEmail`.",
    )
    targetEmail = EmailField(
        source="target_email",
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="The e-mail address that the gift is for.",
    )
    message = TextField(
        max_length=MESSAGE_LENGTH,
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="A text for the recipient.",
    )
    expirationDays = StrictIntegerField(
        source="days",
        min_value=1,
        max_value=LONGEST_VALIDITY.days,
        required=False,
        allow_null=True,
        help_text="The number of days the code is valid, 90 by default. Overrides `expiresAt`.",
    )
    expiresAt = TimestampField(
        source="expires_at",
        required=False,
        allow_null=True,
        help_text="When the code expires, at most 365 days ahead.",
    )
    creatorName = GiverNameField(
        source="creator_name",
        max_length=GIVER_NAME_LENGTH,
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="The name shown to the recipient, by default the token's `name`.",
    )
    sourceAppId = ShortTextField(
        source="source_app_id",
        max_length=APP_ID_LENGTH,
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="The app in which the gift is created.",
    )

    def parse(self, data: object) -> dict[str, Any]:
        """Validate the body. Raises InvalidGift."""
        try:
            return super().parse(data)
        except serializers.ValidationError as error:
            raise InvalidGift(cast("dict[str, list[str]]", error.detail)) from error

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Merge the alias `credits` into `total_credits`; check the type against the e-mail."""
        total, alias = attrs.get("total_credits"), attrs.get("credits")
        if total is not None and alias not in {None, total}:
            raise serializers.ValidationError({"credits": ["totalCredits has a different value."]})
        total = alias if total is None else total
        if total is None:
            raise serializers.ValidationError({"totalCredits": ["This field is required."]})
        self._check_target(attrs.get("type"), attrs.get("target_email"))
        return {**attrs, "total_credits": total}

    def _check_target(self, kind: str | None, target: str | None) -> None:
        if kind == GiftCode.Type.PERSONALIZED and not target:
            raise serializers.ValidationError(
                {"targetEmail": ["A personalized gift needs an e-mail address."]}
            )
        if kind == GiftCode.Type.SIMPLE and target:
            problem = "A gift of the type simple has no e-mail address."
            raise serializers.ValidationError({"targetEmail": [problem]})

    def to_gift(self, body: dict[str, Any], now: datetime) -> NewGift:
        """Return the gift to create at `now` from a validated body."""
        lifetime = timedelta(days=body["days"]) if body.get("days") else DEFAULT_VALIDITY
        by_date = None if body.get("days") else body.get("expires_at")
        return NewGift(
            body["total_credits"],
            expires_at=by_date or now + lifetime,
            target_email=body.get("target_email"),
            message=body.get("message"),
            source_app_id=body.get("source_app_id"),
            creator_name=body.get("creator_name"),
        )


CREATE = CreateGiftSerializer()
