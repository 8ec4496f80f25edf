"""The state of an account: its balance, contact, block and wrong codes, if any."""

from typing import NamedTuple

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
        Balance.objects.filter(pk=user_id).first(),
        Contact.objects.filter(pk=user_id).first(),
        StripeCustomer.objects.filter(user_id=user_id).first(),
        GiftBlock.objects.filter(pk=user_id).first(),
        GiftMisses.objects.filter(pk=f"user:{user_id}").first(),
    )
    return state if any(state) or _is_mentioned(user_id) else None


def _is_mentioned(user_id: str) -> bool:
    tables = (Purchase, StaffAction, SyncSubscription)
    return any(model.objects.filter(user_id=user_id).exists() for model in tables)
