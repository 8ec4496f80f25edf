"""What users send and read about gifts; the wire's names stand only here."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from credits import email_addresses
from credits.api.serializers import APP_ID_LENGTH
from credits.api.wire_fields import (
    Always,
    Amount,
    Credits,
    Label,
    Text,
    Timestamp,
    UserId,
    Uuid,
    Whole,
)
from credits.api.wire_serializers import KeyedSerializer, WireSerializer
from credits.email_addresses import mailbox
from gifts import code_format
from gifts.codes import DEFAULT_VALIDITY, LONGEST_VALIDITY, NewGift
from gifts.models import LARGEST_GIFT, MESSAGE_LENGTH, SMALLEST_GIFT, GiftCode


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


@extend_schema_field({"type": "string", "example": "ABCD-EFGH-JKLM"})
class Code(serializers.Field[Any, Any, str, Any]):
    """A gift's code as people read it."""

    def to_representation(self, value: str) -> str:
        """Return ABCD-EFGH-JKLM."""
        return code_format.shown(value)


@extend_schema_field({"type": "string", "format": "uri"})
class GiftUrl(Code):
    """The address of a gift's public page."""

    def to_representation(self, value: str) -> str:
        """Return `{BASE_URL}/g/ABCD-EFGH-JKLM`."""
        return f"{settings.BASE_URL}/g/{code_format.shown(value)}"


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


class CreateSerializer(KeyedSerializer):
    """A gift to make; the web client says `credits` for `totalCredits`."""

    totalCredits = GiftCredits(source="total_credits", required=False, allow_null=True)
    credits = GiftCredits(required=False, allow_null=True)
    type = serializers.ChoiceField(choices=GiftCode.Type.choices, default=GiftCode.Type.SIMPLE)
    targetEmail = Email(source="target_email", required=False, allow_null=True, allow_blank=True)
    message = Text(max_length=MESSAGE_LENGTH, required=False, allow_null=True, allow_blank=True)
    expirationDays = Whole(
        source="days",
        min_value=1,
        max_value=LONGEST_VALIDITY.days,
        required=False,
        allow_null=True,
    )
    expiresAt = Timestamp(source="expires_at", required=False, allow_null=True)
    sourceAppId = Label(
        source="source_app_id",
        max_length=APP_ID_LENGTH,
        required=False,
        allow_null=True,
        allow_blank=True,
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Settle which alias counts; a target e-mail belongs to a personalised gift."""
        total = attrs.get("total_credits") or attrs.get("credits")
        if total is None:
            raise serializers.ValidationError({"totalCredits": ["This field is required."]})
        personalized = attrs["type"] == GiftCode.Type.PERSONALIZED
        if personalized and not attrs.get("target_email"):
            raise serializers.ValidationError({"targetEmail": ["A personalized gift needs one."]})
        if not personalized and attrs.get("target_email"):
            raise serializers.ValidationError(
                {"targetEmail": ["Only a personalized gift has one."]}
            )
        return {**attrs, "total_credits": total}

    def to_gift(self, body: dict[str, Any], now: datetime) -> NewGift:
        """Return the gift that a validated body asks for at `now`."""
        lifetime = timedelta(days=body["days"]) if body.get("days") else DEFAULT_VALIDITY
        by_date = None if body.get("days") else body.get("expires_at")
        return NewGift(
            body["total_credits"],
            expires_at=by_date or now + lifetime,
            target_email=body.get("target_email"),
            message=body.get("message"),
            source_app_id=body.get("source_app_id"),
        )


class GiftSerializer(WireSerializer):
    """A gift, as its creator sees it."""

    id = Uuid()
    code = Code()
    shortUrl = GiftUrl(source="code")
    url = GiftUrl(source="code")
    creatorId = UserId(source="creator_id")
    creatorName = Text(source="creator_name", allow_null=True)
    totalCredits = Amount(source="total_credits")
    redeemed = Count("depleted", source="status")
    type = serializers.ChoiceField(choices=GiftCode.Type.choices)
    status = serializers.ChoiceField(choices=GiftCode.Status.choices, source="status_now")
    targetEmail = Text(source="target_email", allow_null=True)
    message = Text(allow_null=True)
    expiresAt = Timestamp(source="expires_at")
    reservationTransactionId = Uuid(source="payment_id")
    createdAt = Timestamp(source="created_at")
    updatedAt = Timestamp(source="updated_at")


class PublicGiftSerializer(WireSerializer):
    """A gift, as anybody sees it who has the code."""

    code = Code()
    type = serializers.ChoiceField(choices=GiftCode.Type.choices)
    status = serializers.ChoiceField(choices=GiftCode.Status.choices, source="status_now")
    totalCredits = Amount(source="total_credits")
    redeemed = Is("depleted", source="status")
    message = Text(allow_null=True)
    creatorName = Text(source="creator_name", allow_null=True)
    expiresAt = Timestamp(source="expires_at")
    isPersonalized = Is("personalized", source="type")


class RedemptionSerializer(WireSerializer):
    """A gift that the user received."""

    id = Uuid()
    giftCodeId = Uuid(source="gift_code_id")
    redeemerUserId = UserId(source="redeemer_id")
    status = Always("success")
    creditsReceived = Amount(source="gift_code.total_credits")
    creditTransactionId = Uuid(source="transaction_id")
    sourceAppId = Text(source="source_app_id", allow_null=True)
    createdAt = Timestamp(source="created_at")
    code = Code(source="gift_code.code")
    credits = Amount(source="gift_code.total_credits")
    message = Text(source="gift_code.message", allow_null=True)
    creatorName = Text(source="gift_code.creator_name", allow_null=True)
    redeemedAt = Timestamp(source="created_at")


class RedeemSerializer(KeyedSerializer):
    """Where a gift is redeemed."""

    sourceAppId = Label(
        source="source_app_id",
        max_length=APP_ID_LENGTH,
        required=False,
        allow_null=True,
        allow_blank=True,
    )


class RedeemedSerializer(WireSerializer):
    """The answer to redeeming."""

    success = Always(True)
    creditsReceived = Amount(source="redemption.gift_code.total_credits")
    message = Text(source="redemption.gift_code.message", allow_null=True)
    creatorName = Text(source="redemption.gift_code.creator_name", allow_null=True)
    credits = Amount(source="redemption.gift_code.total_credits")
    newBalance = Amount(source="balance.available")


class GiftIdSerializer(WireSerializer):
    """A path that names a gift."""

    id = Uuid(source="gift_id")


class CancelledSerializer(WireSerializer):
    """The answer to a cancellation."""

    success = Always(True)
    refundedCredits = Amount(source="total_credits")


CREATE = CreateSerializer()
GIFT = GiftSerializer()
PUBLIC_GIFT = PublicGiftSerializer()
REDEMPTION = RedemptionSerializer()
REDEEM = RedeemSerializer()
REDEEMED = RedeemedSerializer()
GIFT_ID = GiftIdSerializer()
CANCELLED = CancelledSerializer()
