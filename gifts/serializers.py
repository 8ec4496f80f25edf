"""Serializers of gifts."""

from datetime import datetime, timedelta
from typing import Any, cast

from rest_framework import serializers

from credits.api.openapi import Variant
from credits.api.serializers import APP_ID_LENGTH
from credits.api.wire_fields import (
    Amount,
    ConstantField,
    ShortTextField,
    StrictIntegerField,
    Text,
    Timestamp,
    UserId,
    Uuid,
)
from credits.api.wire_serializers import KeyedSerializer, WireSerializer
from gifts.codes import DEFAULT_VALIDITY, LONGEST_VALIDITY, NewGift
from gifts.models import MESSAGE_LENGTH, GiftCode
from gifts.relations import Relation
from gifts.wire_fields import Code, CountField, Email, EqualsField, GiftCredits, GiftUrl, GiverName

GIVER_NAME_LENGTH = 80


class InvalidGift(serializers.ValidationError):
    """A field of the gift is invalid. The web app shows only `message`, so it names a field."""

    def __init__(self, detail: dict[str, list[str]]) -> None:
        field = "targetEmail" if "targetEmail" in detail else next(iter(detail))
        self.message = f"{field}: {detail[field][0]}"
        super().__init__(detail)


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
    type = serializers.ChoiceField(
        choices=GiftCode.Type.choices,
        required=False,
        help_text="`simple`: for anybody with the code. `personalized`: for one e-mail address, "
        "the default with a `targetEmail`.",
    )
    targetEmail = Email(
        source="target_email",
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="The e-mail address that the gift is for.",
    )
    message = Text(
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
    expiresAt = Timestamp(
        source="expires_at",
        required=False,
        allow_null=True,
        help_text="When the code expires, at most 365 days ahead.",
    )
    creatorName = GiverName(
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
            raise serializers.ValidationError({"targetEmail": ["A personalized gift needs one."]})
        if kind == GiftCode.Type.SIMPLE and target:
            problem = "Only a personalized gift has one."
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


class GiftSerializer(WireSerializer):
    """A gift, as shown to its creator."""

    id = Uuid(help_text="The gift's id, used to cancel it.")
    code = Code(help_text="The code to give to the recipient.")
    shortUrl = GiftUrl(source="code", help_text="The gift's public page.")
    url = GiftUrl(source="code", help_text="The same as `shortUrl`.")
    creatorId = UserId(source="creator_id", help_text="The user who created the gift.")
    creatorName = Text(
        source="creator_name", allow_null=True, help_text="The name shown to the recipient."
    )
    totalCredits = Amount(source="total_credits", help_text="Credits in the gift.")
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
    targetEmail = Text(
        source="target_email",
        allow_null=True,
        help_text="The e-mail address that a personalized gift is for.",
    )
    message = Text(allow_null=True, help_text="The creator's text.")
    expiresAt = Timestamp(source="expires_at", help_text="When the code expires.")
    reservationTransactionId = Uuid(
        source="payment_id", help_text="The transaction that took the credits from the creator."
    )
    createdAt = Timestamp(source="created_at", help_text="When the gift was created.")
    updatedAt = Timestamp(source="updated_at", help_text="When the gift last changed.")
    redeemedAt = Timestamp(
        source="redeemed_at", allow_null=True, help_text="When it was redeemed, or null."
    )


class PublicGiftSerializer(WireSerializer):
    """A gift, as shown to anybody with the code."""

    code = Code(help_text="The gift's code.")
    type = serializers.ChoiceField(
        choices=GiftCode.Type.choices,
        help_text="`simple`: for anybody with the code. `personalized`: for one e-mail address.",
    )
    status = serializers.ChoiceField(
        choices=GiftCode.Status.choices,
        source="status_now",
        help_text="`active` if it can be redeemed.",
    )
    totalCredits = Amount(source="total_credits", help_text="Credits in the gift.")
    redeemed = EqualsField("depleted", source="status", help_text="Whether it was redeemed.")
    message = Text(allow_null=True, help_text="The creator's text.")
    creatorName = Text(source="creator_name", allow_null=True, help_text="The creator's name.")
    expiresAt = Timestamp(source="expires_at", help_text="When the code expires.")
    isPersonalized = EqualsField(
        "personalized", source="type", help_text="Whether it is for one e-mail address."
    )
    forYou = serializers.BooleanField(
        source="is_for_user",
        allow_null=True,
        read_only=True,
        help_text="Whether the user of the token may be whom it is for; null without a token.",
    )
    relation = serializers.ChoiceField(
        choices=Relation.choices,
        allow_null=True,
        read_only=True,
        help_text="What it is to the user of the token: `giver` or `redeemer` of it, `recipient` "
        "who can redeem it while it is active, or `other`; null without a token.",
    )
    redeemedAt = Timestamp(
        source="redeemed_by_user_at",
        allow_null=True,
        read_only=True,
        help_text="When the user of the token redeemed it, or null.",
    )


class GiftRedemptionSerializer(WireSerializer):
    """A gift that the user received."""

    id = Uuid(help_text="The redemption's id.")
    giftCodeId = Uuid(source="gift_code_id", help_text="The gift's id.")
    redeemerUserId = UserId(source="redeemer_id", help_text="The user who redeemed it.")
    status = ConstantField("success", help_text="Always `success`.")
    creditsReceived = Amount(source="gift_code.total_credits", help_text="Credits that arrived.")
    creditTransactionId = Uuid(
        source="transaction_id", help_text="The transaction that credited them."
    )
    sourceAppId = Text(
        source="source_app_id", allow_null=True, help_text="The app in which it was redeemed."
    )
    createdAt = Timestamp(source="created_at", help_text="When it was redeemed.")
    code = Code(source="gift_code.code", help_text="The gift's code.")
    credits = Amount(source="gift_code.total_credits", help_text="The same as `creditsReceived`.")
    message = Text(source="gift_code.message", allow_null=True, help_text="The creator's text.")
    creatorName = Text(
        source="gift_code.creator_name", allow_null=True, help_text="The creator's name."
    )
    redeemedAt = Timestamp(source="created_at", help_text="The same as `createdAt`.")


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
    creditsReceived = Amount(
        source="redemption.gift_code.total_credits", help_text="Credits that arrived."
    )
    message = Text(
        source="redemption.gift_code.message", allow_null=True, help_text="The creator's text."
    )
    creatorName = Text(
        source="redemption.gift_code.creator_name", allow_null=True, help_text="The creator's name."
    )
    credits = Amount(
        source="redemption.gift_code.total_credits", help_text="The same as `creditsReceived`."
    )
    newBalance = Amount(source="balance.available", help_text="Credits that can be spent now.")


class GiftIdSerializer(WireSerializer):
    """The path parameter of a gift."""

    id = Uuid(source="gift_id")


class CancelGiftResponseSerializer(WireSerializer):
    """The answer to a cancellation."""

    success = ConstantField(True, help_text="Always true.")
    refundedCredits = Amount(
        source="total_credits", help_text="Credits that were returned to the creator."
    )


CREATE = CreateGiftSerializer()
GIFT = GiftSerializer()
PUBLIC_GIFT = PublicGiftSerializer()
REDEMPTION = GiftRedemptionSerializer()
REDEEM = RedeemGiftSerializer()
REDEEMED = RedeemGiftResponseSerializer()
GIFT_ID = GiftIdSerializer()
CANCELLED = CancelGiftResponseSerializer()
