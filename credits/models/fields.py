"""Fields and conditions that several tables share."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models import F, Func, Q
from django.db.models.expressions import BaseExpression
from django.db.models.lookups import Exact, IsNull

from credits import email_addresses
from credits.amounts import DIGITS, PLACES
from credits.ids import new_id

ZERO = Decimal("0.0")  # becomes a numeric literal without a cast in the CHECKs


def amount_field(**options: Any) -> "models.DecimalField[Any, Decimal]":
    """Return a field for credits: numeric(15, 4)."""
    return models.DecimalField(max_digits=DIGITS, decimal_places=PLACES, **options)


def user_id_field(**options: Any) -> "models.CharField[Any, str]":
    """Return a field for a user's id in mana-auth: opaque text, 1 to 255 characters."""
    return models.CharField(max_length=255, **options)


def id_field() -> "models.UUIDField[Any, UUID]":
    """Return the primary key of a table: a UUID that sorts by creation time."""
    return models.UUIDField(primary_key=True, default=new_id)


def email_field(**options: Any) -> "models.CharField[Any, str]":
    """Return a field for an e-mail address in its canonical form."""
    return models.CharField(max_length=email_addresses.LENGTH, **options)


def equal(first: BaseExpression, second: BaseExpression) -> Q:
    """Return the condition that two expressions, such as columns or look-ups, are equal."""
    return Q(Exact(first, second))


def null_together(first: str, second: str) -> Q:
    """Return the condition that both columns are null or both are not."""
    return equal(IsNull(F(first), True), IsNull(F(second), True))


def price_is_whole() -> Q:
    """Return the condition that an operation has a unit cost and quantity, or a metering.

    Without an operation, all of them are null. A comparison with NULL passes a CHECK.
    """
    return (
        Q(unit_cost__gt=ZERO, quantity__gt=0)
        & null_together("unit_cost", "quantity")
        & equal(_given("quantity", "metering"), _given("operation"))
    )


def _given(*columns: str) -> Func:
    return Func(*columns, function="num_nonnulls", output_field=models.IntegerField())
