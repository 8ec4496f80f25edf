"""One search field: from whatever a person writes in their ticket to the account behind it."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from uuid import UUID

from credits.email_addresses import mailbox
from credits.models import Balance, Purchase, Reservation, StripeCustomer, Transaction

MOST = 20


class Hit(NamedTuple):
    """An account, and what was found of it."""

    user_id: str
    found: str


Finder = Callable[[str], Iterable[Hit]]
_finders: list[Finder] = []


def add_finder(finder: Finder) -> None:
    """Let the search also ask `finder`, which yields the accounts that a text leads to."""
    _finders.append(finder)


def find(text: str) -> list[Hit]:
    """Return the accounts that `text` may mean, each once, at most 20.

    A user id, the id of a transaction, purchase or reservation, an id of Stripe's, an e-mail
    address, a gift code; or the beginning of a user id.
    """
    wanted = text.strip()
    hits: dict[str, Hit] = {}
    if wanted:
        for finder in _finders:
            for hit in finder(wanted):
                hits.setdefault(hit.user_id, hit)
        if not hits:
            hits = {hit.user_id: hit for hit in _by_beginning(wanted)}
    return list(hits.values())[:MOST]


def as_uuid(text: str) -> UUID | None:
    """Return the UUID that `text` spells, if it does."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _by_user(text: str) -> Iterable[Hit]:
    if Balance.objects.filter(pk=text).exists():
        yield Hit(text, "User id")


def _by_row(text: str) -> Iterable[Hit]:
    row_id = as_uuid(text)
    if row_id is None:
        return
    tables: dict[str, Any] = {
        "Transaction": Transaction.objects,
        "Purchase": Purchase.objects,
        "Reservation": Reservation.objects,
    }
    for name, rows in tables.items():
        for row in rows.filter(pk=row_id):
            yield Hit(row.user_id, f"{name} {row_id}")


def _by_email(text: str) -> Iterable[Hit]:
    if "@" in text:
        for row in StripeCustomer.objects.filter(email=mailbox(text)):
            yield Hit(row.user_id, f"Known at Stripe as {text}")


def _by_stripe(text: str) -> Iterable[Hit]:
    if text.startswith("cus_"):
        customers = StripeCustomer.objects.filter(stripe_customer_id=text)
        yield from (Hit(row.user_id, f"Stripe customer {text}") for row in customers)
    for column in ("stripe_payment_intent_id", "stripe_checkout_session_id"):
        if text.startswith(("pi_", "cs_")):
            purchases = Purchase.objects.filter(**{column: text})
            yield from (Hit(row.user_id, f"Purchase with {text}") for row in purchases)


def _by_beginning(text: str) -> Iterable[Hit]:
    rows = Balance.objects.filter(pk__startswith=text).order_by("pk")[:MOST]
    yield from (Hit(row.user_id, "User id that begins so") for row in rows)


add_finder(_by_user)
add_finder(_by_row)
add_finder(_by_email)
add_finder(_by_stripe)
