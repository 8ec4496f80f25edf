"""What users send and read about packages and purchases; the wire's names stand only here."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from rest_framework import serializers

from credits.api.openapi import Variant
from credits.api.wire_fields import Amount, JsonObject, Label, Text, Timestamp, UserId, Uuid
from credits.api.wire_serializers import KeyedSerializer, WireSerializer
from credits.models import Purchase
from credits.payments.checkout import Pages


class PageUrl(Label):
    """The address of one of our own pages: at `BASE_URL` or an origin of `CORS_ORIGINS`."""

    default_error_messages = {
        "origin": "Only addresses of the ecosystem's own apps are allowed.",
        "blank": "An address has no blanks.",
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": 2048, **options})

    def to_internal_value(self, data: object) -> str:
        """Take addresses that Stripe may lead a buyer to."""
        url = super().to_internal_value(data)
        try:
            parts = urlsplit(url)
        except ValueError:
            self.fail("origin")
        if any(one.isspace() for one in url):  # `urlsplit` passes over some, Stripe refuses them
            self.fail("blank")
        if f"{parts.scheme}://{parts.netloc}" not in _origins():
            self.fail("origin")
        return url


def _origins() -> set[str]:
    base = urlsplit(settings.BASE_URL)
    return {f"{base.scheme}://{base.netloc}", *settings.CORS_ALLOWED_ORIGINS}


class PackageSerializer(WireSerializer):
    """Credits that can be bought."""

    id = Uuid(help_text="The package's id.")
    name = Text(help_text="The name on the price list.")
    description = Text(allow_null=True, help_text="A text for the buyer.")
    credits = Amount(help_text="Credits that the package contains.")
    priceEuroCents = serializers.IntegerField(
        source="price_euro_cents", help_text="The price in euro cents."
    )
    stripePriceId = Text(
        source="stripe_price_id", allow_null=True, help_text="The id of the price at Stripe."
    )
    active = serializers.BooleanField(help_text="Whether it can be bought.")
    sortOrder = serializers.IntegerField(
        source="sort_order", help_text="The position on the price list."
    )
    metadata = JsonObject(allow_null=True, help_text="Any JSON object of the operators.")
    createdAt = Timestamp(source="created_at", help_text="When the package was created.")
    updatedAt = Timestamp(source="updated_at", help_text="When the package last changed.")


class PurchaseSerializer(WireSerializer):
    """A purchase, at the price and for the credits of its start."""

    id = Uuid(help_text="The purchase's id.")
    userId = UserId(source="user_id", help_text="The buyer.")
    packageId = Uuid(source="package_id", help_text="The package that was bought.")
    credits = Amount(help_text="Credits that the payment buys.")
    priceEuroCents = serializers.IntegerField(
        source="price_euro_cents", help_text="The price in euro cents."
    )
    stripePaymentIntentId = Text(
        source="stripe_payment_intent_id",
        allow_null=True,
        help_text="The payment intent at Stripe, once there is one.",
    )
    stripeCustomerId = Text(
        source="stripe_customer_id", allow_null=True, help_text="The buyer's customer id at Stripe."
    )
    status = serializers.ChoiceField(
        choices=Purchase.Status.choices, help_text="How far the payment is, or what became of it."
    )
    metadata = JsonObject(allow_null=True, help_text="Any JSON object of the service.")
    createdAt = Timestamp(source="created_at", help_text="When the purchase started.")
    completedAt = Timestamp(source="completed_at", allow_null=True, help_text="When it was paid.")
    underReview = serializers.BooleanField(
        source="under_review",
        help_text="Whether a payment does not fit the purchase and an operator looks at it.",
    )
    receiptUrl = serializers.URLField(
        source="receipt_url", allow_null=True, help_text="Stripe's receipt."
    )
    invoiceUrl = serializers.URLField(
        source="invoice_url", allow_null=True, help_text="Stripe's invoice, where one is made."
    )


class StartPurchaseSerializer(KeyedSerializer):
    """The package to buy; with both addresses the purchase is paid at Stripe's Checkout."""

    variants = {
        "InApp": Variant(
            "A purchase that the app has paid with Stripe's library.",
            without=("successUrl", "cancelUrl"),
        ),
        "AtCheckout": Variant(
            "A purchase that is paid on a page of Stripe.", required=("successUrl", "cancelUrl")
        ),
    }

    packageId = Uuid(source="package_id", help_text="The package to buy (`GET /credits/packages`).")
    successUrl = PageUrl(
        source="success_url",
        required=False,
        allow_null=True,
        help_text="Where Checkout leads after the payment: a page of our own apps.",
    )
    cancelUrl = PageUrl(
        source="cancel_url",
        required=False,
        allow_null=True,
        help_text="Where Checkout leads when the buyer cancels: a page of our own apps.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the package and its `pages`, None without Checkout."""
        success, cancel = attrs.get("success_url"), attrs.get("cancel_url")
        if bool(success) != bool(cancel):
            missing = "cancelUrl" if success else "successUrl"
            raise serializers.ValidationError({missing: ["Checkout needs both addresses."]})
        return {**attrs, "pages": Pages(success, cancel) if success and cancel else None}


class PurchaseIdSerializer(WireSerializer):
    """A path that names a purchase."""

    id = Uuid(source="purchase_id")


class StartPurchaseResponseSerializer(WireSerializer):
    """How to pay: with the client secret, or at `checkoutUrl`, which only Checkout has."""

    purchaseId = Uuid(source="id", help_text="The purchase's id.")
    clientSecret = Text(
        source="client_secret",
        allow_null=True,
        help_text="What Stripe's library needs to confirm the payment intent; null with Checkout.",
    )
    amount = serializers.IntegerField(source="price_euro_cents", help_text="In cents (EUR).")
    credits = Amount(help_text="Credits that the payment buys.")
    checkoutUrl = serializers.URLField(
        source="checkout_url",
        required=False,
        help_text="The page to send the buyer to. Only with Checkout.",
    )

    def represent(self, subject: object) -> dict[str, Any]:
        """Leave out the address that a payment intent has not."""
        answer = super().represent(subject)
        if answer["checkoutUrl"] is None:
            del answer["checkoutUrl"]
        return answer


PACKAGE = PackageSerializer()
PURCHASE = PurchaseSerializer()
PURCHASE_ID = PurchaseIdSerializer()
START = StartPurchaseSerializer()
STARTED = StartPurchaseResponseSerializer()
