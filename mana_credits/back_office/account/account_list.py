"""The list of all accounts: newest, or by balance or spending as of the last check of the ledger.

Each order is read by its own index from a position, so every page costs the same.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from credits.ledger import credit_lots
from credits.models import Balance, CheckedBalance, Contact
from gifts.models import GiftBlock
from mana_credits.back_office import keyset_pages

SIZE = 50
# Current balances have no index by amount: each movement would have to update it. The nightly check
# keeps a copy that has one.
ORDERS: Mapping[str, tuple[Any, str]] = {
    "newest": (Balance, "created_at"),
    "balance": (CheckedBalance, "posted"),
    "spent": (CheckedBalance, "total_spent"),
}


class ListedAccount(NamedTuple):
    """An account with its current balance and the contact of its user, if known.

    `available` is without the credits that have expired, even if that is not posted yet. `blocked`
    is whether the user is blocked from gifts.
    """

    balance: Balance
    contact: Contact | None
    available: Decimal
    blocked: bool


class AccountListPage(NamedTuple):
    """Accounts, and the position where the next page begins, or "" at the end."""

    accounts: list[ListedAccount]
    next: str = ""


def page(order: str, *, now: datetime, after: str = "") -> AccountListPage:
    """Return a page of accounts as of `now`. `after` is the `next` of the previous page.

    Raises ValueError for an `after` that is not a position.
    """
    model, column = ORDERS[order]
    rows = model.objects.order_by(f"-{column}", "user_id").only("user_id", column)
    found = keyset_pages.page(rows, after=after, size=SIZE)
    return AccountListPage(_accounts([row.user_id for row in found.rows], now), found.next)


def _accounts(user_ids: list[str], now: datetime) -> list[ListedAccount]:
    balances = Balance.objects.in_bulk(user_ids)
    contacts = Contact.objects.in_bulk(user_ids)
    expired = credit_lots.expired_of(user_ids, now=now)
    blocked = set(GiftBlock.objects.filter(pk__in=user_ids).values_list("pk", flat=True))
    # An account may have been erased since the check whose copy this order reads.
    return [
        ListedAccount(
            balances[one],
            contacts.get(one),
            balances[one].available - expired.get(one, 0),
            one in blocked,
        )
        for one in user_ids
        if one in balances
    ]
