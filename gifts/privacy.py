"""Erasure of a person's data from gifts: ids, names, texts and addresses go, the credits stay."""

from credits.erasure import Rows
from gifts.models import Campaign, GiftBlock, GiftCode, GiftRedemption


def _lock(user_id: str) -> None:
    list(GiftCode.objects.filter(creator_id=user_id).select_for_update().values_list("pk"))


def _strip(user_id: str, pseudonym: str) -> int:
    GiftBlock.objects.filter(pk=user_id).delete()
    redemptions = GiftRedemption.objects.filter(redeemer_id=user_id)
    received = GiftCode.objects.filter(
        pk__in=redemptions.values("gift_code"), type=GiftCode.Type.PERSONALIZED
    )
    received.update(target_email=pseudonym)
    Campaign.objects.filter(account_id=user_id).update(account_id=pseudonym)
    created = GiftCode.objects.filter(creator_id=user_id)
    return created.update(
        creator_id=pseudonym, creator_name=None, message=None
    ) + redemptions.update(redeemer_id=pseudonym)


ROWS = Rows(_lock, _strip)
