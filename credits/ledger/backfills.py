"""Repairs of data derived from the ledger: usage by day, balances, operations of old usages.

Each function repairs a list of users in one transaction and locks their balances, so that no
movement interferes. With `apply=False` nothing is changed. Amounts are credits, and days are UTC.
"""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from django.db import connection, transaction

from credits.catalogue.catalogue import OperationUnknown
from credits.models import Balance, Operation

SQL = Path(__file__).resolve().parent / "sql" / "backfill"


class AttributionRule(NamedTuple):
    """Attributes the usages of an app, optionally with a description, to an operation.

    The amount of each usage is the price of `quantity` items of the operation.
    """

    app_id: str
    description: str | None
    operation: str
    quantity: int = 1


class Attributed(NamedTuple):
    """The number of usages attributed to an operation, and the sum of their credits."""

    operation: str
    usages: int
    credits: Decimal


def usage(
    users: list[str], *, first: date | None, last: date | None, apply: bool
) -> list[tuple[str, str]]:
    """Recount the usage from `first` to `last`; return the user and a sentence per wrong row."""
    return _repair("usage", {"users": users, "first": first, "last": last}, apply=apply)


def balances(users: list[str], *, apply: bool) -> list[tuple[str, str]]:
    """Rebuild the balances from the ledger; return the user and a sentence per wrong balance."""
    return _repair("balances", {"users": users}, apply=apply)


def operations(
    users: list[str], rules: Iterable[AttributionRule], *, apply: bool
) -> list[Attributed]:
    """Attribute usages without an operation by the first matching rule; return sums by operation.

    See docs/decisions/0051-old-usages-and-operations.md.
    """
    apps, descriptions, names, quantities = (list(column) for column in zip(*rules, strict=True))
    values = {
        "users": users,
        "apps": apps,
        "descriptions": descriptions,
        "operations": names,
        "quantities": quantities,
    }
    return [Attributed(*row) for row in _repair("operations", values, apply=apply)]


def check_rules(rules: Iterable[AttributionRule]) -> None:
    """Raise OperationUnknown if the operation of a rule was never in the catalogue."""
    wanted = {rule.operation for rule in rules}
    # Withdrawn operations too: old usages may be of operations that are no longer offered.
    known = Operation.objects.filter(pk__in=wanted).values_list("pk", flat=True)
    if unknown := sorted(wanted - set(known)):
        raise OperationUnknown(operations=", ".join(unknown))


def _repair(name: str, values: dict[str, Any], *, apply: bool) -> list[Any]:
    with transaction.atomic(), connection.cursor() as cursor:
        if apply:
            # In the order of user ids, like every other lock of several balances, to avoid
            # deadlocks.
            locked = Balance.objects.filter(pk__in=values["users"]).order_by("pk")
            list(locked.select_for_update().values_list("pk"))
        cursor.execute((SQL / f"{name}_find.sql").read_text(encoding="utf-8"), values)
        found: list[Any] = cursor.fetchall()
        if apply and found:
            cursor.execute((SQL / f"{name}_fix.sql").read_text(encoding="utf-8"), values)
    return found
