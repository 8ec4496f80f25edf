"""The state of an account: its balance, contact, block and invalid codes, if any."""

from datetime import UTC, datetime
from typing import NamedTuple

from credits.ledger import credit_lots
from credits.models import Balance, Contact, Purchase, StaffAction, StripeCustomer, SyncSubscription
from gifts.models import GiftBlock, GiftMisses


class AccountState(NamedTuple):
    """The rows about a user; None for each that is missing. The first credits create `balance`."""

    balance: Balance | None
    contact: Contact | None
    customer: StripeCustomer | None
    gift_block: GiftBlock | None
    misses: GiftMisses | None


def of(user_id: str) -> AccountState | None:
    """Return the state of the user, or None if the service knows nothing about them."""
    state = AccountState(
        _balance(user_id),
        Contact.objects.filter(pk=user_id).first(),
        StripeCustomer.objects.filter(user_id=user_id).first(),
        GiftBlock.objects.filter(pk=user_id).first(),
        GiftMisses.objects.filter(pk=GiftMisses.bucket_of(user_id)).first(),
    )
    return state if any(state) or _is_mentioned(user_id) else None


def _balance(user_id: str) -> Balance | None:
    """Return the balance without what has expired, or None if there is none."""
    found = Balance.objects.filter(pk=user_id).first()
    # Without credits that expire, the row is the balance. This saves a query for most users.
    if found is None or found.next_expiry is None:
        return found
    return credit_lots.balance_at(user_id, now=datetime.now(UTC))


def _is_mentioned(user_id: str) -> bool:
    tables = (Purchase, StaffAction, SyncSubscription)
    return any(model.objects.filter(user_id=user_id).exists() for model in tables)
