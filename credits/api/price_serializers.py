"""The base classes of bodies that take credits, and of answers with a price by units."""

from collections.abc import Mapping
from typing import Any, cast

from rest_framework import serializers

from credits.api.metered_fields import Metering, Units
from credits.api.wire_fields import Credits, ShortTextField, StrictIntegerField
from credits.api.wire_serializers import KeyedSerializer, Variant, WireSerializer
from credits.catalogue.catalogue import LARGEST_QUANTITY
from credits.ledger import Priced

MISSING_AMOUNT = {"amount": ["This field is required, unless there is an operation."]}
UNITS_ALONE = "Units are only allowed with an operation."


class MeteredSerializer(WireSerializer):
    """A transaction that may have a price by units."""

    metering = Metering(
        required=False,
        help_text="What a price by units was computed from. Absent for any other transaction.",
    )

    def represent(self, subject: object) -> dict[str, Any]:
        """Represent the transaction; omit `metering` unless it has one."""
        answer = super().represent(subject)
        metering = answer.pop("metering")
        if metering is not None:
            answer["metering"] = metering
        return answer


class PricedSerializer(KeyedSerializer):
    """The credits to take: an `amount`, or the price of an `operation`.

    The price is that of `quantity` items or, if the operation is metered, of `units`.
    """

    variants = {
        "ByAmount": Variant(
            "An amount of credits.",
            required=("amount",),
            without=("operation", "quantity", "units"),
        ),
        "ByOperation": Variant(
            "An operation at the catalogue's price.",
            required=("operation",),
            without=("amount", "units"),
        ),
        "ByUnits": Variant(
            "Units of a metered operation at the catalogue's prices.",
            required=("operation", "units"),
            without=("amount", "quantity"),
        ),
    }

    amount = Credits(
        required=False, allow_null=True, help_text="Credits, with at most 4 decimal places."
    )
    operation = ShortTextField(
        max_length=64,
        required=False,
        allow_null=True,
        help_text="A key of the catalogue (`GET /credits/operations`), which sets the price.",
    )
    quantity = StrictIntegerField(
        min_value=1,
        max_value=LARGEST_QUANTITY,
        required=False,
        allow_null=True,
        help_text="The number of items of the operation, 1 by default.",
    )
    units = Units(
        required=False,
        allow_null=True,
        help_text="The units of a metered operation, by name;"
        " for `reserve`, the largest expected ones.",
    )

    def parse(self, data: object) -> dict[str, Any]:
        """Parse the body; report a missing amount together with all other errors."""
        try:
            return super().parse(data)
        except serializers.ValidationError as error:
            if isinstance(data, Mapping) and data.get("amount") is data.get("operation") is None:
                details = cast("dict[str, Any]", error.detail)
                raise serializers.ValidationError({**MISSING_AMOUNT, **details}) from error
            raise

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Set `amount` to the given credits or to a `Priced` operation; raise ValidationError."""
        amount, operation, quantity = map(attrs.get, ("amount", "operation", "quantity"))
        units = attrs.get("units")
        if operation is None:
            if amount is None:
                raise serializers.ValidationError(MISSING_AMOUNT)
            if quantity is not None:
                raise serializers.ValidationError(
                    {"quantity": ["A quantity is only allowed with an operation."]}
                )
            if units is not None:
                raise serializers.ValidationError({"units": [UNITS_ALONE]})
            return attrs
        if amount is not None:
            raise serializers.ValidationError(
                {"amount": ["An amount is not allowed with an operation, which has a price."]}
            )
        if units is None:
            return {**attrs, "amount": Priced(operation, quantity or 1)}
        if quantity is not None:
            raise serializers.ValidationError(
                {"quantity": ["A quantity is not allowed with units."]}
            )
        return {**attrs, "amount": Priced(operation, None, units)}
