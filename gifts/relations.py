"""The relation of a user to a gift: whom it is for, and which actions a page may offer."""

from django.db import models

from credits.email_addresses import mailbox
from credits.principals import User
from gifts.models import GiftCode, GiftRedemption


class Relation(models.TextChoices):
    """The user created the gift, redeemed it, may redeem it while it is active, or neither."""

    GIVER = "giver"
    REDEEMER = "redeemer"
    RECIPIENT = "recipient"
    OTHER = "other"


def describe(gift: GiftCode, user: User | None) -> None:
    """Set the relation of `user` to the gift and the time of their redemption, or None."""
    gift.is_for_user = gift.relation = gift.redeemed_by_user_at = None
    if user is None:
        return
    own = GiftRedemption.objects.filter(gift_code=gift, redeemer_id=user.id).first()
    gift.is_for_user = is_for(gift, user)
    gift.relation = _relation(gift, user, own)
    gift.redeemed_by_user_at = own.created_at if own else None


def is_for(gift: GiftCode, user: User) -> bool:
    """Return whether the gift is for anybody, or for the user's verified e-mail address."""
    return gift.target_email is None or gift.target_email == comparable_address(user)


def comparable_address(user: User) -> str:
    """Return the user's verified e-mail address in canonical form.

    It is empty without such an address, or if PostgreSQL cannot store the address.
    """
    # Not None: in SQL, a comparison with null would let anybody redeem a personalized gift.
    address = mailbox(user.email or "") if user.email_verified else ""
    return "" if "\x00" in address else address


def _relation(gift: GiftCode, user: User, own: GiftRedemption | None) -> Relation:
    if own:
        return Relation.REDEEMER
    if gift.creator_id == user.id:
        return Relation.GIVER
    return Relation.RECIPIENT if gift.is_for_user else Relation.OTHER
