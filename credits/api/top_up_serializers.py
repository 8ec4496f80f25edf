"""Serializers of the automatic top-up."""

from typing import Any, NamedTuple

from rest_framework import serializers

from credits.api.purchase_serializers import PageUrlField, PurchaseSerializer, pages_of
from credits.api.settings_serializers import SeenVersion
from credits.api.wire_fields import (
    AmountField,
    ShortTextField,
    StrictIntegerField,
    TextField,
    ThresholdField,
    TimestampField,
    UuidField,
)
from credits.api.wire_serializers import Variant, WireSerializer
from credits.models import AutoTopUp, Purchase
from credits.payments import auto_top_up
from credits.payments.auto_top_up import LARGEST_MAXIMUM, Agreement


class SaveTopUpSerializer(WireSerializer):
    """The terms of an automatic top-up to which the user agrees."""

    variants = {
        "BySetupIntent": Variant(
            "A card that Stripe's library saved, or the card as before.",
            without=("checkoutSessionId",),
        ),
        "ByCheckoutSession": Variant(
            "A card that was saved on Stripe's Checkout page.",
            required=("checkoutSessionId",),
            without=("setupIntentId",),
        ),
    }

    packageId = UuidField(source="package_id", help_text="The package to buy.")
    threshold = ThresholdField(help_text="Buy when the posted credits fall to this many.")
    monthlyMaximum = StrictIntegerField(
        source="monthly_maximum",
        min_value=1,
        max_value=LARGEST_MAXIMUM,
        help_text="The most purchases in a UTC month.",
    )
    setupIntentId = ShortTextField(
        source="setup_id",
        max_length=255,
        required=False,
        allow_null=True,
        help_text="The setup intent of a card that was saved by Stripe's library. Without it and"
        " without `checkoutSessionId` the card stays.",
    )
    checkoutSessionId = ShortTextField(
        source="session_id",
        max_length=255,
        required=False,
        allow_null=True,
        help_text="The Checkout Session in which a card was saved, instead of `setupIntentId`.",
    )

    version = SeenVersion()

    def validate(self, attrs: Any) -> Any:
        """Return the agreement as the domain takes it. Raise ValidationError for two cards."""
        seen = attrs.pop("version", None)
        # The two ids could be those of different cards.
        if attrs.get("setup_id") and attrs.get("session_id"):
            raise serializers.ValidationError(
                {
                    "checkoutSessionId": [
                        "A setupIntentId and a checkoutSessionId exclude each other."
                    ]
                }
            )
        return {"wanted": Agreement(**attrs), "seen": seen}


class SetUpTopUpSerializer(WireSerializer):
    """Where to save the card: with both URLs on Stripe's Checkout page."""

    variants = {
        "InApp": Variant("In the app, by Stripe's library.", without=("successUrl", "cancelUrl")),
        "AtCheckout": Variant("On Stripe's Checkout page.", required=("successUrl", "cancelUrl")),
    }

    successUrl = PageUrlField(
        source="success_url",
        required=False,
        allow_null=True,
        help_text="The page to return to with the card saved: one of the ecosystem's apps."
        " `{CHECKOUT_SESSION_ID}` in it becomes the `checkoutSessionId` of the agreement.",
    )
    cancelUrl = PageUrlField(
        source="cancel_url",
        required=False,
        allow_null=True,
        help_text="The page to return to if no card was saved: one of the ecosystem's apps.",
    )

    def validate(self, attrs: Any) -> Any:
        """Return `pages`, the two URLs or None; raise ValidationError if only one is given."""
        return {"pages": pages_of(attrs)}


class SetUpTopUpResponseSerializer(WireSerializer):
    """How to save the card: by Stripe's library, or at `checkoutUrl` with Checkout."""

    setupIntentId = TextField(
        source="setup_id", allow_null=True, help_text="The setup intent's id; null with Checkout."
    )
    clientSecret = TextField(
        source="client_secret",
        allow_null=True,
        help_text="Its secret for Stripe's library; null with Checkout.",
    )
    checkoutUrl = serializers.URLField(
        source="checkout_url",
        required=False,
        help_text="The Checkout page to send the user to. Only with Checkout.",
    )


class TopUp(NamedTuple):
    """The user's automatic top-up, or None, and the purchases that it made, newest first."""

    row: AutoTopUp | None
    purchases: list[Purchase]

    @property
    def version(self) -> str:
        """Return the version of the agreement."""
        return auto_top_up.version_of(self.row)


class AgreementSerializer(WireSerializer):
    """What the user agreed to, and whether it is paused."""

    packageId = UuidField(source="package_id", help_text="The package to buy.")
    packageName = TextField(
        source="package.name", help_text="The package's name on the price list."
    )
    packageNameDe = TextField(
        source="package.name_de", allow_null=True, help_text="The package's German name, if any."
    )
    credits = AmountField(help_text="The agreed credits of a purchase.")
    priceEuroCents = serializers.IntegerField(
        source="price_euro_cents", help_text="The agreed price in euro cents."
    )
    expiresAfterDays = serializers.IntegerField(
        source="expires_after_days",
        allow_null=True,
        help_text="How many days after a payment its credits expire, as agreed; null: never.",
    )
    threshold = ThresholdField(help_text="The posted credits at which it buys.")
    monthlyMaximum = serializers.IntegerField(
        source="monthly_maximum", help_text="The most purchases in a UTC month."
    )
    cardBrand = TextField(
        source="card_brand",
        allow_null=True,
        help_text="Stripe's name of the saved card's brand, such as `visa`, or null.",
    )
    cardLast4 = TextField(
        source="card_last4", allow_null=True, help_text="The card's last 4 digits, or null."
    )
    agreedAt = TimestampField(source="agreed_at", help_text="When the user agreed.")
    pausedAt = TimestampField(
        source="paused_at", allow_null=True, help_text="Since when nothing is bought, or null."
    )
    pauseReason = serializers.ChoiceField(
        source="pause_reason",
        choices=AutoTopUp.Pause.choices,
        allow_null=True,
        help_text="Why it is paused, or null.",
    )


class TopUpSerializer(WireSerializer):
    """The user's automatic top-up."""

    agreement = AgreementSerializer(
        source="row", allow_null=True, help_text="Null while the top-up is off."
    )
    purchases = PurchaseSerializer(
        many=True, help_text="The newest 20 automatic purchases, newest first."
    )
    version = TextField(help_text="The version of the agreement, for the next `PUT`.")


SAVE_TOP_UP = SaveTopUpSerializer()
START_SET_UP = SetUpTopUpSerializer()
SET_UP = SetUpTopUpResponseSerializer()
TOP_UP = TopUpSerializer()
