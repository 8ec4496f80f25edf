"""The relation of a signed-in user to a gift, so that a page offers only possible actions."""

from django.db import models

from credits.principals import User
from gifts import redemptions
from gifts.models import GiftCode, GiftRedemption


class Relation(models.TextChoices):
    """The user gave it, redeemed it, may redeem it while it is active, or is somebody else."""

    GIVER = "giver"
    REDEEMER = "redeemer"
    RECIPIENT = "recipient"
    OTHER = "other"


def describe(gift: GiftCode, user: User | None) -> None:
    """Set the relation of `user` to the gift and when they redeemed it; None without a user."""
    gift.is_for_user = gift.relation = gift.redeemed_by_user_at = None
    if user is None:
        return
    own = GiftRedemption.objects.filter(gift_code=gift, redeemer_id=user.id).first()
    gift.is_for_user = redemptions.is_for(gift, user)
    gift.relation = _relation(gift, user, own)
    gift.redeemed_by_user_at = own.created_at if own else None


def _relation(gift: GiftCode, user: User, own: GiftRedemption | None) -> Relation:
    if own:
        return Relation.REDEEMER
    if gift.creator_id == user.id:
        return Relation.GIVER
    return Relation.RECIPIENT if gift.is_for_user else Relation.OTHER
