"""Gifts that wait for somebody to register: redeemed as soon as mana-auth says who it is."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from credits.email_addresses import mailbox
from credits.ledger.posting import Origin
from credits.principals import User
from gifts import blocks, redemptions
from gifts.models import GiftCode
from gifts.redemptions import Answer, Named
from gifts.transitions import Status

LARGEST_NUMBER = 1000
# What may have happened to a gift since it was found.
GONE = {"gift_not_found", "gift_not_redeemable"}


class Arrived(NamedTuple):
    """How many gifts arrived, and how many credits in all."""

    redeemed: int
    total_credits: Decimal


def redeem_pending(user_id: str, email: str, *, origin: Origin, now: datetime) -> Arrived:
    """Redeem the active gifts for this address, up to 1,000, each in its own transaction.

    What is gone by the time that it is its turn is not counted; the user's own gifts stay.
    Raises GiftsBlocked.
    """
    blocks.refuse_blocked(user_id)
    user = User(user_id, email=email)
    waiting = GiftCode.objects.filter(
        status=Status.ACTIVE, target_email=mailbox(email), expires_at__gt=now
    ).exclude(creator_id=user_id)
    gift_ids = waiting.order_by("number").values_list("pk", flat=True)[:LARGEST_NUMBER]
    answers = [
        redemptions.redeem(Named(gift_id=gift_id), user=user, origin=origin, now=now)
        for gift_id in gift_ids
    ]
    arrived = [_arrived(answer) for answer in answers if answer.outcome not in GONE]
    return Arrived(len(arrived), sum(arrived, Decimal(0)))


def _arrived(answer: Answer) -> Decimal:
    return answer.redeemed().redemption.gift_code.total_credits
