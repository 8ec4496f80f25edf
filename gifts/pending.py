"""Pending gifts: personalised gifts that are redeemed when their recipient registers."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from credits.ledger import Origin
from credits.principals import User
from gifts import blocks, gift_functions, relations
from gifts.gift_functions import GiftReference, RedemptionAnswer
from gifts.models import GiftCode
from gifts.transitions import Status

LARGEST_NUMBER = 1000
# A gift may be redeemed, cancelled or expired between the query and its turn.
GONE = {"gift_not_found", "gift_not_redeemable"}


class ArrivedGifts(NamedTuple):
    """The number of gifts redeemed and the sum of their credits."""

    redeemed: int
    total_credits: Decimal


def redeem_pending(user_id: str, email: str, *, origin: Origin, now: datetime) -> ArrivedGifts:
    """Redeem up to 1,000 active gifts for this e-mail address, each in its own transaction.

    Gifts that are no longer redeemable when their turn comes are not counted. The user's own gifts
    are not redeemed. Raises GiftsBlocked.
    """
    blocks.refuse_blocked(user_id)
    # The calling service vouches for the address.
    user = User(user_id, email=email)
    waiting = GiftCode.objects.filter(
        status=Status.ACTIVE, target_email=relations.comparable_address(user), expires_at__gt=now
    ).exclude(creator_id=user_id)
    gift_ids = waiting.order_by("number").values_list("pk", flat=True)[:LARGEST_NUMBER]
    # Each gift commits for itself: one that fails must not undo the others, and a retry skips them.
    answers = [
        gift_functions.redeem(GiftReference(gift_id=gift_id), user=user, origin=origin, now=now)
        for gift_id in gift_ids
    ]
    arrived = [_arrived(answer) for answer in answers if answer.outcome not in GONE]
    return ArrivedGifts(len(arrived), sum(arrived, Decimal(0)))


def _arrived(answer: RedemptionAnswer) -> Decimal:
    return answer.redeemed().redemption.gift_code.total_credits
