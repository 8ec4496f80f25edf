"""The catalogue: operations that cost credits, and the history of their prices."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact

from credits.ids import new_id
from credits.models.fields import amount_field
from credits.models.transactions import ACTOR_PATTERN


class Operation(models.Model):
    """An operation and its price: `cost` credits, or that for each started batch of `per_items`.

    Only `credits.catalogue` changes rows, so that every change of a price is recorded.
    """

    class Category(models.TextChoices):
        """The kind of cost that the operation causes."""

        AI = "ai"
        PREMIUM = "premium"

    key = models.CharField(max_length=64, primary_key=True)
    name = models.CharField(max_length=100)
    description = models.CharField(max_length=500, blank=True)
    category = models.CharField(max_length=16, choices=Category)
    app = models.CharField(max_length=100)
    cost = amount_field()
    per_items = models.IntegerField(null=True)
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
                name="operation_category_known", condition=Q(category__in=["ai", "premium"])
            ),
            models.CheckConstraint(name="operation_cost_positive", condition=Q(cost__gt=0)),
            models.CheckConstraint(
                name="operation_batch_positive",
                condition=Q(per_items__isnull=True) | Q(per_items__gt=0),
            ),
        )


def _same(column: str) -> Exact:
    """Return the condition that a column is equal before and after; NULL counts as 0."""
    before, after = (
        Coalesce(F(f"{column}_{when}"), 0, output_field=models.DecimalField())
        for when in ("before", "after")
    )
    return Exact(before, after)


class OperationPrice(models.Model):
    """One change of a price: the actor, the time, the old and the new price.

    Rows are never changed or deleted. `cost_before` is null if the operation was not on offer
    before the change, `cost_after` is null if the change withdrew it.
    """

    id = models.UUIDField(primary_key=True, default=new_id)
    operation = models.ForeignKey(Operation, on_delete=models.PROTECT, related_name="prices")
    cost_before = amount_field(null=True)
    per_items_before = models.IntegerField(null=True)
    cost_after = amount_field(null=True)
    per_items_after = models.IntegerField(null=True)
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
                condition=~Q(_same("cost")) | ~Q(_same("per_items")),
            ),
            models.CheckConstraint(
                name="price_actor_known", condition=Q(actor__regex=ACTOR_PATTERN)
            ),
        )
