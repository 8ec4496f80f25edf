"""Serializers of packages and purchases."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from rest_framework import serializers

from credits.api.json_object import JsonObject
from credits.api.wire_fields import (
    AmountField,
    ShortTextField,
    TextField,
    TimestampField,
    UserIdField,
    UuidField,
)
from credits.api.wire_serializers import KeyedSerializer, Variant, WireSerializer
from credits.models import Purchase
from credits.payments.checkout import ReturnPages


class PageUrlField(ShortTextField):
    """The URL of a page of the ecosystem: at `BASE_URL` or an origin of `CORS_ORIGINS`."""

    default_error_messages = {
        "origin": "The URL must be at BASE_URL or at an origin of CORS_ORIGINS.",
        "white_space": "A URL must not contain white space.",
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": 2048, **options})

    def to_internal_value(self, data: object) -> str:
        """Validate that Stripe may redirect a buyer to the URL."""
        url = super().to_internal_value(data)
        try:
            parts = urlsplit(url)
        except ValueError:
            self.fail("origin")
        if any(one.isspace() for one in url):  # `urlsplit` drops some, Stripe rejects all
            self.fail("white_space")
        if f"{parts.scheme}://{parts.netloc}" not in _origins():
            self.fail("origin")
        return url


def _origins() -> set[str]:
    base = urlsplit(settings.BASE_URL)
    # An open redirect from Stripe's page would help phishing. Therefore only origins of our own
    # apps.
    return {f"{base.scheme}://{base.netloc}", *settings.CORS_ALLOWED_ORIGINS}


class PackageSerializer(WireSerializer):
    """Credits that can be bought."""

    id = UuidField(help_text="The package's id.")
    name = TextField(help_text="The name on the price list.")
    description = TextField(allow_null=True, help_text="A text for the buyer.")
    nameDe = TextField(
        source="name_de", allow_null=True, help_text="The German name, if it differs."
    )
    descriptionDe = TextField(
        source="description_de", allow_null=True, help_text="The German text, if it differs."
    )
    credits = AmountField(help_text="Credits that the package contains.")
    priceEuroCents = serializers.IntegerField(
        source="price_euro_cents", help_text="The price in euro cents."
    )
    expiresAfterDays = serializers.IntegerField(
        source="expires_after_days",
        allow_null=True,
        help_text="How many days after the payment the credits expire; null: never.",
    )
    stripePriceId = TextField(
        source="stripe_price_id", allow_null=True, help_text="The id of the price at Stripe."
    )
    active = serializers.BooleanField(help_text="Whether it can be bought.")
    sortOrder = serializers.IntegerField(
        source="sort_order", help_text="The position on the price list."
    )
    metadata = JsonObject(allow_null=True, help_text="A JSON object set by the operators.")
    createdAt = TimestampField(source="created_at", help_text="When the package was created.")
    updatedAt = TimestampField(source="updated_at", help_text="When the package last changed.")


class PurchaseSerializer(WireSerializer):
    """A purchase, with the price and the credits at the time it was started."""

    id = UuidField(help_text="The purchase's id.")
    userId = UserIdField(source="user_id", help_text="The buyer.")
    packageId = UuidField(source="package_id", help_text="The package that was bought.")
    packageName = TextField(
        source="package.name", help_text="The package's name on the price list."
    )
    packageNameDe = TextField(
        source="package.name_de", allow_null=True, help_text="The package's German name, if any."
    )
    credits = AmountField(help_text="Credits that the payment buys.")
    priceEuroCents = serializers.IntegerField(
        source="price_euro_cents", help_text="The price in euro cents."
    )
    expiresAfterDays = serializers.IntegerField(
        source="expires_after_days",
        allow_null=True,
        help_text="How many days after the payment the credits expire; null: never.",
    )
    stripePaymentIntentId = TextField(
        source="stripe_payment_intent_id",
        allow_null=True,
        help_text="The payment intent at Stripe; null until it exists.",
    )
    stripeCustomerId = TextField(
        source="stripe_customer_id", allow_null=True, help_text="The buyer's customer id at Stripe."
    )
    status = serializers.ChoiceField(
        choices=Purchase.Status.choices, help_text="The status of the payment."
    )
    metadata = JsonObject(allow_null=True, help_text="A JSON object set by this service.")
    createdAt = TimestampField(source="created_at", help_text="When the purchase started.")
    completedAt = TimestampField(
        source="completed_at", allow_null=True, help_text="When it was paid."
    )
    underReview = serializers.BooleanField(
        source="under_review",
        help_text="Whether a payment does not match the purchase and waits for an operator.",
    )
    receiptUrl = serializers.URLField(
        source="receipt_url", allow_null=True, help_text="The URL of Stripe's receipt."
    )
    invoiceUrl = serializers.URLField(
        source="invoice_url", allow_null=True, help_text="The URL of Stripe's invoice, if any."
    )
    failureCode = TextField(
        source="failure_code",
        allow_null=True,
        help_text="Stripe's code of the last failed attempt to pay, only with the status `failed`.",
    )
    automatic = serializers.BooleanField(help_text="Whether an automatic top-up made the purchase.")
    cancellable = serializers.BooleanField(
        help_text="Whether the buyer can cancel it (`POST /credits/purchase/{id}/cancel`)."
    )
    checkoutUrl = serializers.URLField(
        source="pay_url",
        allow_null=True,
        help_text="The Checkout page where an unpaid purchase can be paid until `payableUntil`.",
    )
    payableUntil = TimestampField(
        source="payable_until",
        allow_null=True,
        help_text="When the Checkout page closes; null without Checkout.",
    )


def pages_of(attrs: dict[str, Any]) -> ReturnPages | None:
    """Return the two URLs or None; raise ValidationError if only one URL is given."""
    success, cancel = attrs.get("success_url"), attrs.get("cancel_url")
    # Stripe's Checkout needs both.
    if bool(success) != bool(cancel):
        missing = "cancelUrl" if success else "successUrl"
        raise serializers.ValidationError({missing: ["Checkout requires both URLs."]})
    return ReturnPages(success, cancel) if success and cancel else None


class StartPurchaseSerializer(KeyedSerializer):
    """The package to buy. With both URLs the purchase is paid in Stripe Checkout."""

    variants = {
        "InApp": Variant(
            "A purchase paid in the app with Stripe's library.",
            without=("successUrl", "cancelUrl"),
        ),
        "AtCheckout": Variant(
            "A purchase paid on Stripe's Checkout page.", required=("successUrl", "cancelUrl")
        ),
    }

    packageId = UuidField(
        source="package_id", help_text="The package to buy (`GET /credits/packages`)."
    )
    successUrl = PageUrlField(
        source="success_url",
        required=False,
        allow_null=True,
        help_text="The page to return to after the payment: one of the ecosystem's apps. "
        "`{PURCHASE_ID}` in it becomes the purchase's id.",
    )
    cancelUrl = PageUrlField(
        source="cancel_url",
        required=False,
        allow_null=True,
        help_text="The page to return to if the buyer cancels: one of the ecosystem's apps. "
        "`{PURCHASE_ID}` in it becomes the purchase's id.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Add `pages`, the two URLs or None; raise ValidationError if only one URL is given."""
        return {**attrs, "pages": pages_of(attrs)}


class PurchaseIdSerializer(WireSerializer):
    """The path parameter of a purchase."""

    purchaseId = UuidField(source="purchase_id")


class StartPurchaseResponseSerializer(WireSerializer):
    """How to pay: with the client secret, or at `checkoutUrl` for Checkout."""

    purchaseId = UuidField(source="id", help_text="The purchase's id.")
    clientSecret = TextField(
        source="client_secret",
        allow_null=True,
        help_text="The secret for Stripe's library to confirm the payment; null with Checkout.",
    )
    amount = serializers.IntegerField(source="price_euro_cents", help_text="The price in cents.")
    credits = AmountField(help_text="Credits that the payment buys.")
    checkoutUrl = serializers.URLField(
        source="checkout_url",
        required=False,  # without Checkout, the answer has the fields of the earlier service only
        help_text="The Checkout page to send the buyer to. Only with Checkout.",
    )


PACKAGE = PackageSerializer()
PURCHASE = PurchaseSerializer()
PURCHASE_ID = PurchaseIdSerializer()
START = StartPurchaseSerializer()
STARTED = StartPurchaseResponseSerializer()
