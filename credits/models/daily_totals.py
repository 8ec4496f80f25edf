"""Daily sums, from which the back office computes its figures without scanning the ledger."""

from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import F, Q


def sum_field() -> "models.DecimalField[Any, Decimal]":
    """Return a field for the sum of many users' credits: numeric(20, 4)."""
    # Five digits more than an amount: the sum of 100,000 of the largest amounts.
    return models.DecimalField(max_digits=20, decimal_places=4, db_default=0)


class DailyTotal(models.Model):
    """The sums of one UTC day's transactions of one type, app and operation.

    `credits_in` is the sum of the positive amounts, `credits_out` the absolute sum of the negative
    ones. `operation` is empty for transactions without an operation. Only
    `credits.reporting.daily_totals` writes rows.
    """

    # The date first, because all queries read spans of days.
    pk = models.CompositePrimaryKey("date", "type", "app_id", "operation")
    date = models.DateField()
    type = models.CharField(max_length=16)
    app_id = models.CharField(max_length=100)
    operation = models.CharField(max_length=64, blank=True)
    credits_in = sum_field()
    credits_out = sum_field()
    transactions = models.BigIntegerField()

    class Meta:
        db_table = '"credits"."daily_totals"'
        constraints = (
            models.CheckConstraint(
                name="daily_total_credits_not_negative",
                condition=Q(credits_in__gte=0, credits_out__gte=0),
            ),
            models.CheckConstraint(
                name="daily_total_sums_transactions",
                condition=Q(transactions__gt=0) & (Q(credits_in__gt=0) | Q(credits_out__gt=0)),
            ),
        )


class DailyRevenue(models.Model):
    """The revenue of one UTC day, in cents (EUR). Every day that was summed has a row.

    `sold_cents` is the total price of the `purchases` completed that day. `gone_cents` is what
    refunds and disputes withdrew, `recovered_cents` what failed refunds and won disputes returned.
    """

    date = models.DateField(primary_key=True)
    purchases = models.BigIntegerField(db_default=0)
    sold_cents = models.BigIntegerField(db_default=0)
    gone_cents = models.BigIntegerField(db_default=0)
    recovered_cents = models.BigIntegerField(db_default=0)

    class Meta:
        db_table = '"credits"."daily_revenue"'
        constraints = (
            models.CheckConstraint(
                name="daily_revenue_not_negative",
                condition=Q(
                    sold_cents__gte=F("purchases"), gone_cents__gte=0, recovered_cents__gte=0
                ),
            ),
        )
