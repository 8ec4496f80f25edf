"""The list of all accounts: newest, or by balance or spending as of the last check of the ledger.

Each order is read by its own index from a position, so every page costs the same.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from django.db.models import Q

from credits.models import Balance, CheckedBalance, Contact

SIZE = 50
ORDERS: Mapping[str, tuple[Any, str]] = {
    "newest": (Balance, "created_at"),
    "balance": (CheckedBalance, "posted"),
    "spent": (CheckedBalance, "total_spent"),
}


class Account(NamedTuple):
    """An account with its current balance and the contact of its user, if known."""

    balance: Balance
    contact: Contact | None


class Page(NamedTuple):
    """Accounts, and the position where the next page begins, or "" at the end."""

    accounts: list[Account]
    next: str = ""


def page(order: str, *, after: str = "") -> Page:
    """Return a page of accounts. `after` is the `next` of the previous page.

    Raises ValueError for an `after` that is not a position.
    """
    model, column = ORDERS[order]
    rows: Any = model.objects.order_by(f"-{column}", "user_id")
    if after:
        value, user_id = _position(order, after)
        same = Q(**{column: value}, user_id__gt=user_id)
        rows = rows.filter(Q(**{f"{column}__lte": value}) & (Q(**{f"{column}__lt": value}) | same))
    found = list(rows.values_list("user_id", column)[: SIZE + 1])
    shown = found[:SIZE]
    return Page(
        _accounts([user_id for user_id, _ in shown]),
        f"{_text(shown[-1][1])} {shown[-1][0]}" if len(found) > SIZE else "",
    )


def _position(order: str, after: str) -> tuple[datetime | Decimal, str]:
    value, _, user_id = after.partition(" ")
    try:
        return (datetime.fromisoformat(value) if order == "newest" else Decimal(value)), user_id
    except InvalidOperation as error:
        raise ValueError(after) from error


def _text(value: datetime | Decimal) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _accounts(user_ids: list[str]) -> list[Account]:
    balances = Balance.objects.in_bulk(user_ids)
    contacts = Contact.objects.in_bulk(user_ids)
    return [Account(balances[one], contacts.get(one)) for one in user_ids if one in balances]
