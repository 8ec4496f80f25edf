"""The forms of an operation's price and of a new operation: a cost, or costs by unit."""

from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms

from credits.amounts import DIGITS, PLACES, plain
from credits.catalogue import catalogue
from credits.catalogue.catalogue import AnyPrice, NewOperation, Price
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
    field_order: tuple[str, ...] = (
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
        """Set `price`; require a cost or costs by unit, and only what goes with it."""
        data = super().clean() or self.cleaned_data
        # Other fields are wrong already, so the price cannot be judged yet.
        if self.errors:
            return data
        costs = data["unit_costs"]
        if (data["cost"] is None) == (not costs):
            raise forms.ValidationError("Enter credits, or credits per 1,000 units.")
        self.price = self._by_units(data) if costs else self._plain(data)
        return data

    def _plain(self, data: dict[str, Any]) -> Price:
        if data["minimum"] is not None:
            self.add_error("minimum", "Only a price by units has a minimum.")
        if data["may_overdraw"]:
            self.add_error("may_overdraw", "Only a price by units may overdraw.")
        return Price(data["cost"], data["per_items"])

    def _by_units(self, data: dict[str, Any]) -> MeteredPrice:
        if data["per_items"]:
            self.add_error("per_items", "A price by units has no batches.")
        price = MeteredPrice(data["unit_costs"], data["minimum"], data["may_overdraw"])
        try:
            as_json(price)
        except DomainError as error:
            self.add_error("unit_costs", error.text)
        return price


class OperationForm(PriceForm):
    """A new operation with its first price."""

    key_name = forms.RegexField(
        label="Key",
        regex=catalogue.KEY,
        max_length=64,
        error_messages={"invalid": catalogue.KEY_RULE},
        help_text="What apps send, such as ai_image_upscale. It cannot be changed later.",
    )
    name = forms.CharField(max_length=100, help_text="In English, as users see it.")
    name_de = forms.CharField(label="German name", max_length=100, required=False)
    description = forms.CharField(max_length=500, required=False)
    category = forms.ChoiceField(choices=Operation.Category.choices)
    app = forms.CharField(max_length=100, help_text="The id of the app that uses it.")
    field_order = (
        *("key_name", "name", "name_de", "description", "category", "app"),
        *PriceForm.field_order,
    )

    def clean(self) -> dict[str, Any] | None:
        """Refuse an operation that the catalogue may not have, before its preview."""
        data = super().clean()
        # Both are checked again by the act. Here they appear beside the form before the preview.
        if not self.errors:
            try:
                catalogue.require_valid_operation(self.operation)
                catalogue.require_valid(self.operation.key, self.price)
            except DomainError as error:
                self.add_error(None, error.text)
        return data

    @property
    def operation(self) -> NewOperation:
        """Return the operation of a valid form."""
        data = self.cleaned_data
        values = (data[name] for name in ("key_name", "name", "category", "app", "description"))
        return NewOperation(*values)._replace(name_de=data["name_de"] or None)


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
