"""The list of all accounts: newest, or by balance or spending as of the last check of the ledger.

Each order is read by its own index from a position, so every page costs the same.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from credits.models import Balance, CheckedBalance, Contact
from mana_credits.back_office import keyset_pages

SIZE = 50
# Current balances have no index by amount: each movement would have to update it. The nightly check
# keeps a copy that has one.
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
    rows = model.objects.order_by(f"-{column}", "user_id").only("user_id", column)
    found = keyset_pages.page(rows, after=after, size=SIZE)
    return Page(_accounts([row.user_id for row in found.rows]), found.next)


def _accounts(user_ids: list[str]) -> list[Account]:
    balances = Balance.objects.in_bulk(user_ids)
    contacts = Contact.objects.in_bulk(user_ids)
    # An account may have been erased since the check whose copy this order reads.
    return [Account(balances[one], contacts.get(one)) for one in user_ids if one in balances]
