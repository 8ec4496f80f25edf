"""Gifts that wait for somebody to register: redeemed as soon as mana-auth says who it is."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from django.db import transaction

from credits.email_addresses import mailbox
from credits.ledger.posting import Origin
from gifts import blocks, transitions
from gifts.models import GiftCode
from gifts.transitions import Redeemed, Status

LARGEST_NUMBER = 1000


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
    waiting = GiftCode.objects.filter(
        status=Status.ACTIVE, target_email=mailbox(email), expires_at__gt=now
    ).exclude(creator_id=user_id)
    gift_ids = waiting.order_by("number").values_list("pk", flat=True)[:LARGEST_NUMBER]
    tries = [_redeem(gift_id, user_id, origin, now) for gift_id in gift_ids]
    arrived = [one.redemption.gift_code.total_credits for one in tries if one]
    return Arrived(len(arrived), sum(arrived, Decimal(0)))


@transaction.atomic
def _redeem(gift_id: UUID, user_id: str, origin: Origin, now: datetime) -> Redeemed | None:
    gift = GiftCode.objects.select_for_update().filter(pk=gift_id, status=Status.ACTIVE).first()
    if gift is None:
        return None
    return transitions.arrive(gift, user_id, origin=origin, now=now)
