"""The form of an operation's price: a cost, or costs by unit."""

from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms

from credits.amounts import DIGITS, PLACES, plain
from credits.catalogue.catalogue import AnyPrice, Price
from credits.catalogue.metered_prices import MeteredPrice, as_json, from_json
from credits.errors import DomainError
from credits.models import Operation
from mana_credits.back_office.frame.act_forms import WhyForm

SMALLEST = Decimal(1).scaleb(-PLACES)


class PriceForm(WhyForm):
    """A price of an operation."""

    cost = forms.DecimalField(
        label="Credits",
        required=False,
        max_digits=DIGITS,
        decimal_places=PLACES,
        min_value=SMALLEST,
    )
    per_items = forms.IntegerField(
        label="For each started",
        required=False,
        min_value=1,
        help_text="The items of a batch. If empty, the price is per item.",
    )
    unit_costs = forms.CharField(
        label="Or credits per 1,000 units",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "placeholder": "inputTokens 0.0004"}),
        help_text="One unit and its cost per line. Leave the fields above empty.",
    )
    minimum = forms.DecimalField(
        label="At least",
        required=False,
        max_digits=DIGITS,
        decimal_places=PLACES,
        min_value=SMALLEST,
        help_text="The minimum credits of a use, for a price by units.",
    )
    may_overdraw = forms.BooleanField(
        label="May overdraw",
        required=False,
        help_text="A commit above its hold may take the account below zero.",
    )
    field_order = (
        *("cost", "per_items", "unit_costs", "minimum", "may_overdraw"),
        *("note", "ticket"),
    )

    price: AnyPrice

    def clean_unit_costs(self) -> dict[str, Decimal]:
        """Return the costs by unit, an empty dict if there are none."""
        costs: dict[str, Decimal] = {}
        for line in self.cleaned_data["unit_costs"].splitlines():
            if not line.strip():
                continue
            unit, _, cost = line.strip().partition(" ")
            if unit in costs:
                raise forms.ValidationError(f"{unit} has two costs.")
            try:
                costs[unit] = Decimal(cost.strip())
            except InvalidOperation as error:
                raise forms.ValidationError(f"{line!r} is not a unit and a cost.") from error
        return costs

    def clean(self) -> dict[str, Any] | None:
        """Set `price`; require a cost or costs by unit, not both."""
        data = super().clean() or self.cleaned_data
        if self.errors:
            return data
        costs = data["unit_costs"]
        if (data["cost"] is None) == (not costs):
            raise forms.ValidationError("Enter credits, or credits per 1,000 units.")
        if not costs:
            self.price = Price(data["cost"], data["per_items"])
            return data
        if data["per_items"]:
            raise forms.ValidationError("A price by units has no batches.")
        self.price = MeteredPrice(costs, data["minimum"], data["may_overdraw"])
        try:
            as_json(self.price)
        except DomainError as error:
            raise forms.ValidationError(error.text) from error
        return data


def initial(found: Operation) -> dict[str, Any]:
    """Return the form's values for the current price."""
    if found.metering is None:
        return {"cost": plain(found.cost), "per_items": found.per_items}
    price = from_json(found.metering)
    lines = [f"{unit} {plain(cost)}" for unit, cost in price.unit_costs.items()]
    return {
        "unit_costs": "\n".join(lines),
        "minimum": price.minimum,
        "may_overdraw": price.may_overdraw,
    }
