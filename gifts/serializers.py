"""Serializers of gifts, and their fields."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from credits.api.wire_fields import (
    APP_ID_LENGTH,
    AmountField,
    ConstantField,
    ShortTextField,
    TextField,
    TimestampField,
    UserIdField,
    UuidField,
)
from credits.api.wire_serializers import KeyedSerializer, WireSerializer
from gifts import code_format
from gifts.models import GiftCode
from gifts.relations import Relation


@extend_schema_field({"type": "string", "example": "ABCDEFGHJK"})
class GiftCodeField(serializers.Field[Any, Any, str, Any]):
    """A gift's code, without dashes."""

    def to_representation(self, value: str) -> str:
        """Return the code unchanged."""
        return value


@extend_schema_field({"type": "string", "format": "uri"})
class GiftUrlField(GiftCodeField):
    """The URL of a gift's public page."""

    def to_representation(self, value: str) -> str:
        """Return `{BASE_URL}/g/ABCDEFGHJK`."""
        return code_format.link(value)


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


class GiftSerializer(WireSerializer):
    """A gift, as shown to its creator."""

    id = UuidField(help_text="The gift's id, used to cancel it.")
    code = GiftCodeField(help_text="The code to give to the recipient.")
    shortUrl = GiftUrlField(source="code", help_text="The gift's public page.")
    # Clients of the earlier service read either name. The other pairs of equal fields have the
    # same reason.
    url = GiftUrlField(source="code", help_text="The same as `shortUrl`.")
    creatorId = UserIdField(source="creator_id", help_text="The user who created the gift.")
    creatorName = TextField(
        source="creator_name", allow_null=True, help_text="The name shown to the recipient."
    )
    totalCredits = AmountField(source="total_credits", help_text="Credits in the gift.")
    redeemed = CountField("depleted", source="status", help_text="1 if it was redeemed, else 0.")
    type = serializers.ChoiceField(
        choices=GiftCode.Type.choices,
        help_text="`simple`: for anybody with the code. `personalized`: for one e-mail address.",
    )
    status = serializers.ChoiceField(
        choices=GiftCode.Status.choices,
        source="status_now",
        help_text="`depleted`: redeemed. `refunded`: an operator returned the credits.",
    )
    targetEmail = TextField(
        source="target_email",
        allow_null=True,
        help_text="The e-mail address that a personalized gift is for.",
    )
    message = TextField(allow_null=True, help_text="The creator's text.")
    expiresAt = TimestampField(source="expires_at", help_text="When the code expires.")
    # The earlier service's name: it reserved the credits by a transaction of their full amount.
    reservationTransactionId = UuidField(
        source="payment_id", help_text="The transaction that took the credits from the creator."
    )
    createdAt = TimestampField(source="created_at", help_text="When the gift was created.")
    updatedAt = TimestampField(source="updated_at", help_text="When the gift last changed.")
    redeemedAt = TimestampField(
        source="redeemed_at", allow_null=True, help_text="When it was redeemed, or null."
    )


class PublicGiftSerializer(WireSerializer):
    """A gift, as shown to anybody with the code."""

    code = GiftCodeField(help_text="The gift's code.")
    type = serializers.ChoiceField(
        choices=GiftCode.Type.choices,
        help_text="`simple`: for anybody with the code. `personalized`: for one e-mail address.",
    )
    status = serializers.ChoiceField(
        choices=GiftCode.Status.choices,
        source="status_now",
        help_text="`active` if it can be redeemed.",
    )
    totalCredits = AmountField(source="total_credits", help_text="Credits in the gift.")
    redeemed = EqualsField("depleted", source="status", help_text="Whether it was redeemed.")
    message = TextField(allow_null=True, help_text="The creator's text.")
    creatorName = TextField(source="creator_name", allow_null=True, help_text="The creator's name.")
    expiresAt = TimestampField(source="expires_at", help_text="When the code expires.")
    isPersonalized = EqualsField(
        "personalized", source="type", help_text="Whether it is for one e-mail address."
    )
    forYou = serializers.BooleanField(
        source="is_for_user",
        allow_null=True,
        read_only=True,
        help_text="Whether the user of the token may be its recipient; null without a token.",
    )
    relation = serializers.ChoiceField(
        choices=Relation.choices,
        allow_null=True,
        read_only=True,
        help_text="The relation of the token's user to the gift: `giver`, `redeemer`, `recipient` "
        "who can redeem it while it is active, or `other`; null without a token.",
    )
    redeemedAt = TimestampField(
        source="redeemed_by_user_at",
        allow_null=True,
        read_only=True,
        help_text="When the user of the token redeemed it, or null.",
    )


class GiftRedemptionSerializer(WireSerializer):
    """A gift that the user received."""

    id = UuidField(help_text="The redemption's id.")
    giftCodeId = UuidField(source="gift_code_id", help_text="The gift's id.")
    redeemerUserId = UserIdField(source="redeemer_id", help_text="The user who redeemed it.")
    status = ConstantField("success", help_text="Always `success`.")
    creditsReceived = AmountField(
        source="gift_code.total_credits", help_text="Credits that arrived."
    )
    creditTransactionId = UuidField(
        source="transaction_id", help_text="The transaction that credited them."
    )
    sourceAppId = TextField(
        source="source_app_id", allow_null=True, help_text="The app in which it was redeemed."
    )
    createdAt = TimestampField(source="created_at", help_text="When it was redeemed.")
    code = GiftCodeField(source="gift_code.code", help_text="The gift's code.")
    credits = AmountField(
        source="gift_code.total_credits", help_text="The same as `creditsReceived`."
    )
    message = TextField(
        source="gift_code.message", allow_null=True, help_text="The creator's text."
    )
    creatorName = TextField(
        source="gift_code.creator_name", allow_null=True, help_text="The creator's name."
    )
    redeemedAt = TimestampField(source="created_at", help_text="The same as `createdAt`.")


class RedeemGiftSerializer(KeyedSerializer):
    """The app in which a gift is redeemed."""

    sourceAppId = ShortTextField(
        source="source_app_id",
        max_length=APP_ID_LENGTH,
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="The app in which the gift is redeemed.",
    )


class RedeemGiftResponseSerializer(WireSerializer):
    """The answer to a redemption."""

    success = ConstantField(True, help_text="Always true.")
    creditsReceived = AmountField(
        source="redemption.gift_code.total_credits", help_text="Credits that arrived."
    )
    message = TextField(
        source="redemption.gift_code.message", allow_null=True, help_text="The creator's text."
    )
    creatorName = TextField(
        source="redemption.gift_code.creator_name", allow_null=True, help_text="The creator's name."
    )
    credits = AmountField(
        source="redemption.gift_code.total_credits", help_text="The same as `creditsReceived`."
    )
    newBalance = AmountField(source="balance.available", help_text="Credits that can be spent now.")


class GiftIdSerializer(WireSerializer):
    """The path parameter of a gift."""

    id = UuidField(source="gift_id")


class CancelGiftResponseSerializer(WireSerializer):
    """The answer to a cancellation."""

    success = ConstantField(True, help_text="Always true.")
    refundedCredits = AmountField(
        source="total_credits", help_text="Credits that were returned to the creator."
    )


# The fields of paths.
CODE = TextField(
    max_length=100,
    help_text="The gift's code. Case is ignored, and so is everything but letters and digits.",
)
ID = UuidField(help_text="The gift's `id`, not its code.")

GIFT = GiftSerializer()
PUBLIC_GIFT = PublicGiftSerializer()
REDEMPTION = GiftRedemptionSerializer()
REDEEM = RedeemGiftSerializer()
REDEEMED = RedeemGiftResponseSerializer()
GIFT_ID = GiftIdSerializer()
CANCELLED = CancelGiftResponseSerializer()
