"""The catalogue: operations that cost credits, and the history of their prices."""

from typing import Any

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact

from credits.models.fields import amount_field, id_field
from credits.models.transactions import ACTOR_PATTERN


class Operation(models.Model):
    """An operation and its price: `cost` credits, or that for each started batch of `per_items`.

    A metered operation has no cost. Its `metering` is an object of `unitCosts` (credits per 1,000
    units), `minimum` (credits, or null) and `mayOverdraw`, with amounts as texts. `version`
    increases with each change of the price. `name_de` is the German name; the pages know those of
    the first price list. Only `credits.catalogue.catalogue` changes rows, so that every change of a
    price is recorded.
    """

    class Category(models.TextChoices):
        """The kind of cost that the operation causes."""

        AI = "ai", "AI"
        PREMIUM = "premium"

    key = models.CharField(max_length=64, primary_key=True)
    name = models.CharField(max_length=100)
    name_de = models.CharField(max_length=100, null=True, blank=True)  # noqa: DJ001
    description = models.CharField(max_length=500, blank=True)
    category = models.CharField(max_length=16, choices=Category)
    app = models.CharField(max_length=100)
    cost = amount_field(null=True)
    per_items = models.IntegerField(null=True)
    metering = models.JSONField(null=True)
    version = models.IntegerField(db_default=1)
    active = models.BooleanField(db_default=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = '"credits"."operations"'
        constraints = (
            models.CheckConstraint(
                name="operation_key_is_snake_case", condition=Q(key__regex=r"^[a-z][a-z0-9_]*$")
            ),
            models.CheckConstraint(
                name="operation_german_name_not_empty",
                condition=Q(name_de__isnull=True) | ~Q(name_de=""),
            ),
            models.CheckConstraint(
                name="operation_category_known", condition=Q(category__in=["ai", "premium"])
            ),
            models.CheckConstraint(name="operation_cost_positive", condition=Q(cost__gt=0)),
            models.CheckConstraint(
                name="operation_batch_positive",
                condition=Q(per_items__isnull=True) | Q(per_items__gt=0),
            ),
            models.CheckConstraint(
                name="operation_has_one_kind_of_price",
                condition=Q(cost__isnull=False, metering__isnull=True)
                | Q(cost__isnull=True, per_items__isnull=True, metering__isnull=False),
            ),
        )


def _same(column: str, null: Any = 0, field: "models.Field[Any, Any] | None" = None) -> Exact:
    """Return the condition that a column is equal before and after; NULL counts as `null`."""
    before, after = (
        Coalesce(F(f"{column}_{when}"), null, output_field=field or models.DecimalField())
        for when in ("before", "after")
    )
    return Exact(before, after)


class OperationPrice(models.Model):
    """One change of a price: the actor, the time, the old and the new price.

    Rows are never changed or deleted. A side without a cost and a metering means that the operation
    was not on offer then. `version` is that of the new price.
    """

    id = id_field()
    operation = models.ForeignKey(Operation, on_delete=models.PROTECT, related_name="prices")
    cost_before = amount_field(null=True)
    per_items_before = models.IntegerField(null=True)
    metering_before = models.JSONField(null=True)
    cost_after = amount_field(null=True)
    per_items_after = models.IntegerField(null=True)
    metering_after = models.JSONField(null=True)
    version = models.IntegerField(db_default=1)
    actor = models.CharField(max_length=255)
    changed_at = models.DateTimeField()

    class Meta:
        db_table = '"credits"."operation_prices"'
        constraints = (
            models.CheckConstraint(
                name="price_costs_positive",
                condition=(Q(cost_before__isnull=True) | Q(cost_before__gt=0))
                & (Q(cost_after__isnull=True) | Q(cost_after__gt=0)),
            ),
            models.CheckConstraint(
                name="price_change_changes_the_price",
                condition=~Q(_same("cost"))
                | ~Q(_same("per_items"))
                | ~Q(_same("metering", models.Value({}, models.JSONField()), models.JSONField())),
            ),
            models.CheckConstraint(
                name="price_actor_known", condition=Q(actor__regex=ACTOR_PATTERN)
            ),
        )
