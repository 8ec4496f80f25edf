"""Blocks: users who may neither create nor redeem gifts."""

from credits.errors import DomainError
from gifts.models import GiftBlock


class GiftsBlocked(DomainError):
    """An operator has blocked this user from gifts."""

    code = "gifts_blocked"
    status = 403
    message = "Gifts are blocked for this account; please contact support"


def is_blocked(user_id: str) -> bool:
    """Return whether an operator has blocked the user. Costs one lookup by primary key."""
    return GiftBlock.objects.filter(pk=user_id).exists()


def refuse_blocked(user_id: str) -> None:
    """Raise GiftsBlocked if the user is blocked."""
    if is_blocked(user_id):
        raise GiftsBlocked
