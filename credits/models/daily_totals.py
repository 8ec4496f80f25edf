"""Daily sums: what the back office reads its figures from, instead of scanning the ledger."""

from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import F, Q


def sum_field() -> "models.DecimalField[Any, Decimal]":
    """Return a field for the sum of many users' credits: numeric(20, 4)."""
    return models.DecimalField(max_digits=20, decimal_places=4, db_default=0)


class DailyTotal(models.Model):
    """What the ledger moved on one UTC day by transactions of one type, app and operation.

    `credits_in` is the sum of what users received, `credits_out` of what was taken from them, both
    without a sign; `operation` is empty where none was named. Written by
    `credits.reporting.daily_totals` alone.
    """

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
    """The money of one UTC day, in cents (EUR); every day that was summed has its row.

    `sold_cents` is the price of the `purchases` completed that day, `gone_cents` what refunds and
    disputes took, `recovered_cents` what came back of failed refunds and won disputes.
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
