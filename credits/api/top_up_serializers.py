"""Serializers of the automatic top-up."""

from typing import Any, NamedTuple

from rest_framework import serializers

from credits.api.purchase_serializers import PurchaseSerializer
from credits.api.wire_fields import (
    ShortTextField,
    StrictIntegerField,
    Text,
    Threshold,
    Timestamp,
    Uuid,
)
from credits.api.wire_serializers import WireSerializer
from credits.models import AutoTopUp, Purchase
from credits.payments.auto_top_up import LARGEST_MAXIMUM, Agreement


class SaveTopUpSerializer(WireSerializer):
    """What the user agrees to."""

    packageId = Uuid(source="package_id", help_text="The package to buy.")
    threshold = Threshold(help_text="Buy when the posted credits fall to this many.")
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
        help_text="The setup intent of a newly saved card; without it the card stays.",
    )

    def validate(self, attrs: Any) -> Any:
        """Return the agreement as the domain takes it."""
        return {"wanted": Agreement(**attrs)}


class SetUpTopUpResponseSerializer(WireSerializer):
    """A setup intent, with which the app saves a card by Stripe's library."""

    setupIntentId = Text(source="id", help_text="The setup intent's id.")
    clientSecret = Text(source="client_secret", help_text="Its secret for Stripe's library.")


class TopUp(NamedTuple):
    """The user's automatic top-up, or None, and the purchases that it made, newest first."""

    row: AutoTopUp | None
    purchases: list[Purchase]


class AgreementSerializer(WireSerializer):
    """What the user agreed to, and whether it is paused."""

    packageId = Uuid(source="package_id", help_text="The package to buy.")
    priceEuroCents = serializers.IntegerField(
        source="price_euro_cents", help_text="The agreed price in euro cents."
    )
    threshold = Threshold(help_text="The posted credits at which it buys.")
    monthlyMaximum = serializers.IntegerField(
        source="monthly_maximum", help_text="The most purchases in a UTC month."
    )
    agreedAt = Timestamp(source="agreed_at", help_text="When the user agreed.")
    pausedAt = Timestamp(
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


SAVE_TOP_UP = SaveTopUpSerializer()
SET_UP = SetUpTopUpResponseSerializer()
TOP_UP = TopUpSerializer()
