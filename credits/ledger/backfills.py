"""Repairs of what follows from the ledger: usage by day, balances, operations of old usages.

Each works on a list of users in one transaction, with their balances locked, so that nothing moves
meanwhile. `apply` says whether it changes anything. Amounts are credits, days UTC.
"""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from django.db import connection, transaction

from credits.catalogue import OperationUnknown
from credits.models import Balance, Operation

SQL = Path(__file__).resolve().parent / "sql" / "backfill"


class Rule(NamedTuple):
    """Which usages are of an operation: those of an app, with a description if one is given.

    So many of the operation (`quantity`) made up the amount of each.
    """

    app_id: str
    description: str | None
    operation: str
    quantity: int = 1


class Attributed(NamedTuple):
    """How many usages are of an operation, and the credits that they took."""

    operation: str
    usages: int
    credits: Decimal


def usage(
    users: list[str], *, first: date | None, last: date | None, apply: bool
) -> list[tuple[str, str]]:
    """Count the days from `first` to `last` anew; return user and sentence for what was wrong."""
    return _repair("usage", {"users": users, "first": first, "last": last}, apply=apply)


def balances(users: list[str], *, apply: bool) -> list[tuple[str, str]]:
    """Make the balances what the ledger says; return user and sentence for what was wrong."""
    return _repair("balances", {"users": users}, apply=apply)


def operations(users: list[str], rules: Iterable[Rule], *, apply: bool) -> list[Attributed]:
    """Attribute usages that name no operation, by the first of `rules` that fits; return how many.

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


def check_rules(rules: Iterable[Rule]) -> None:
    """Raise OperationUnknown for a rule whose operation the catalogue never had."""
    wanted = {rule.operation for rule in rules}
    known = Operation.objects.filter(pk__in=wanted).values_list("pk", flat=True)
    if unknown := sorted(wanted - set(known)):
        raise OperationUnknown(operations=", ".join(unknown))


def _repair(name: str, values: dict[str, Any], *, apply: bool) -> list[Any]:
    with transaction.atomic(), connection.cursor() as cursor:
        if apply:
            locked = Balance.objects.filter(pk__in=values["users"]).order_by("pk")
            list(locked.select_for_update().values_list("pk"))
        cursor.execute((SQL / f"{name}_find.sql").read_text(), values)
        found: list[Any] = cursor.fetchall()
        if apply and found:
            cursor.execute((SQL / f"{name}_fix.sql").read_text(), values)
    return found
