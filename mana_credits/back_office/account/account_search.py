"""Account search: finds the account for any id, e-mail address or code from a ticket."""

from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

from credits.email_addresses import mailbox
from credits.models import Balance, Purchase, Reservation, StripeCustomer, Transaction
from gifts import code_format
from gifts.models import GiftCode, GiftRedemption

MOST = 20


class SearchResult(NamedTuple):
    """An account, and what matched."""

    user_id: str
    found: str


def find(text: str) -> list[SearchResult]:
    """Return the accounts that `text` may refer to, each once, at most 20.

    `text` is a user id, the id of a transaction, purchase or reservation, a Stripe id, an e-mail
    address or a gift code. If nothing matches, it is the beginning of a user id.
    """
    wanted = text.strip()
    hits: dict[str, SearchResult] = {}
    if wanted:
        for finder in FINDERS:
            for hit in finder(wanted):
                hits.setdefault(hit.user_id, hit)
        if not hits:
            hits = {hit.user_id: hit for hit in _by_beginning(wanted)}
    return list(hits.values())[:MOST]


def as_uuid(text: str) -> UUID | None:
    """Return `text` as a UUID, or None."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _by_user(text: str) -> Iterable[SearchResult]:
    if Balance.objects.filter(pk=text).exists():
        yield SearchResult(text, "User id")


def _by_row(text: str) -> Iterable[SearchResult]:
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
            yield SearchResult(row.user_id, f"{name} {row_id}")


def _by_email(text: str) -> Iterable[SearchResult]:
    if "@" in text:
        for row in StripeCustomer.objects.filter(email=mailbox(text)):
            yield SearchResult(row.user_id, f"Stripe customer with the address {text}")


def _by_stripe(text: str) -> Iterable[SearchResult]:
    if text.startswith("cus_"):
        customers = StripeCustomer.objects.filter(stripe_customer_id=text)
        yield from (SearchResult(row.user_id, f"Stripe customer {text}") for row in customers)
    for column in ("stripe_payment_intent_id", "stripe_checkout_session_id"):
        if text.startswith(("pi_", "cs_")):
            purchases = Purchase.objects.filter(**{column: text})
            yield from (SearchResult(row.user_id, f"Purchase with {text}") for row in purchases)


def _by_gift_code(text: str) -> Iterable[SearchResult]:
    code = code_format.read(text)
    for row in GiftCode.objects.filter(code=code) if code else ():
        yield SearchResult(row.creator_id, "Created this gift")
        for redemption in GiftRedemption.objects.filter(gift_code=row):
            yield SearchResult(redemption.redeemer_id, "Redeemed this gift")


def _by_gift_email(text: str) -> Iterable[SearchResult]:
    if "@" not in text:
        return
    rows = GiftCode.objects.filter(target_email=mailbox(text)).order_by("-number")[:MOST]
    gifts = list(rows)
    for redemption in GiftRedemption.objects.filter(gift_code__in=gifts):
        yield SearchResult(redemption.redeemer_id, f"Redeemed a gift for {text}")
    for row in gifts:
        yield SearchResult(row.creator_id, f"Created a gift for {text}")


def _by_beginning(text: str) -> Iterable[SearchResult]:
    rows = Balance.objects.filter(pk__startswith=text).order_by("pk")[:MOST]
    yield from (SearchResult(row.user_id, "User id with this prefix") for row in rows)


FINDERS = (_by_user, _by_row, _by_email, _by_stripe, _by_gift_code, _by_gift_email)
