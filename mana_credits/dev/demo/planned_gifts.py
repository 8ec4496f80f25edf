"""The gifts of the demo data: redeemed, cancelled, expired or still active."""

from bisect import bisect_right
from datetime import timedelta
from decimal import Decimal
from functools import partial

from credits.ledger.ledger import Type
from credits.ledger.posting import Movement
from gifts import code_format, transitions
from gifts.codes import DEFAULT_VALIDITY
from gifts.models import SMALLEST_GIFT, GiftCode, GiftRedemption
from mana_credits.dev.demo.demo_users import DemoPerson
from mana_credits.dev.demo.planned_account import PlannedAccount

WISHES = ("Happy birthday!", "Thank you for your help", "Try this", None, None)
PERSONAL = 0.25
RECENT = timedelta(days=60)
TRIES = 8
SOON = 6
Status = GiftCode.Status


def give(account: PlannedAccount) -> bool:
    """Create a gift. Return False if there are too few credits or no possible outcome."""
    largest = min(int(account.available), 200)
    if largest < SMALLEST_GIFT:
        return False
    gift = _gift(account, Decimal(account.chance.randint(SMALLEST_GIFT, largest)))
    if not _decide(account, gift):
        return False
    movement = Movement(
        Type.GIFT, -gift.total_credits, counts_as="spent", cause=f"gift-created:{gift.pk}"
    )
    memo = transitions.memo(gift, "Gift created")
    gift.payment_id = account.post(movement, -gift.total_credits, memo, "user").id
    account.made.gifts.append(gift)
    return True


def receive(account: PlannedAccount, gift: GiftCode) -> None:
    """Redeem a gift that somebody else created."""
    movement = Movement(Type.GIFT, gift.total_credits, cause=f"gift:{gift.pk}")
    memo = transitions.memo(gift, "Gift redeemed")
    entry = account.post(movement, gift.total_credits, memo, "user")
    account.made.redemptions.append(
        GiftRedemption(
            id=account.new_id(),
            gift_code_id=gift.pk,
            redeemer_id=account.person.id,
            transaction_id=entry.id,
            created_at=account.at,
        )
    )


def _decide(account: PlannedAccount, gift: GiftCode) -> bool:
    """Choose the gift's outcome. Return False if no outcome is possible."""
    fate = account.chance.random()
    if fate < 0.6 and _hand_over(account, gift):
        return True
    end = account.plan(partial(_take_back, gift=gift), within=SOON) if fate < 0.9 else None
    if end:
        expires = fate < 0.75
        if expires:
            gift.expires_at = end
        gift.status = Status.EXPIRED if expires else Status.CANCELLED
        gift.updated_at = end
        return True
    gift.expires_at = account.at + DEFAULT_VALIDITY
    return account.world.now - account.at < RECENT


def _take_back(account: PlannedAccount, *, gift: GiftCode) -> None:
    movement = Movement(
        Type.GIFT,
        gift.total_credits,
        counts_as="spent",
        cause=f"gift:{gift.pk}",
        related_id=gift.payment_id,
    )
    actor = "system" if gift.status == Status.EXPIRED else "user"
    memo = transitions.memo(gift, f"Gift {gift.status}")
    account.post(movement, gift.total_credits, memo, actor)


def _hand_over(account: PlannedAccount, gift: GiftCode) -> bool:
    """Assign the gift to a friend, at one of their later entries. Return whether one fits."""
    if not account.friends:
        return False
    for friend in account.chance.choices(account.friends, k=TRIES):
        # The friend's next entry after the gift becomes the redemption, so that the times of both
        # histories fit.
        place = bisect_right(friend.times, account.at)
        if place < len(friend.times) and place not in friend.inbox:
            moment = friend.times[place]
            if moment < gift.expires_at:
                friend.inbox[place] = gift
                gift.status = Status.DEPLETED
                gift.updated_at = moment
                _address(account, gift, friend)
                return True
    return False


def _address(account: PlannedAccount, gift: GiftCode, friend: DemoPerson) -> None:
    if account.chance.random() < PERSONAL:
        gift.type = GiftCode.Type.PERSONALIZED
        gift.target_email = friend.email


def _gift(account: PlannedAccount, amount: Decimal) -> GiftCode:
    alphabet = code_format.ALPHABET
    return GiftCode(
        id=account.new_id(),
        code="".join(account.chance.choices(alphabet, k=code_format.LENGTH)),
        creator_id=account.person.id,
        creator_name=account.person.name,
        total_credits=amount,
        type=GiftCode.Type.SIMPLE,
        status=Status.ACTIVE,
        message=account.chance.choice(WISHES),
        expires_at=account.at + DEFAULT_VALIDITY,
        created_at=account.at,
        updated_at=account.at,
    )
