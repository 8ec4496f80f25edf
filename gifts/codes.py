"""Gift codes: create, find, redeem, cancel. Own row first, balances last; one answer for bad codes.

Amounts are credits, times UTC. What expires by itself is in `expiry`, what waits for somebody to
register in `pending`, sets of codes in `campaigns`.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from credits.amounts import positive
from credits.email_addresses import mailbox
from credits.errors import DomainError
from credits.ids import new_id
from credits.ledger import ledger
from credits.ledger.posting import Origin
from credits.principals import User
from gifts import blocks, code_format, throttle, transitions
from gifts.display_name import public_name
from gifts.models import LARGEST_GIFT, SMALLEST_GIFT, Campaign, GiftCode, GiftRedemption
from gifts.throttle import Guesser
from gifts.transitions import Redeemed, Status

DEFAULT_VALIDITY = timedelta(days=90)
LONGEST_VALIDITY = timedelta(days=365)


class NewGift(NamedTuple):
    """A gift to be made; personalised when it has a target e-mail."""

    total_credits: Decimal
    expires_at: datetime
    target_email: str | None = None
    message: str | None = None
    source_app_id: str | None = None
    place: tuple[Campaign, int] | None = None


class GiftUnknown(DomainError):
    """No such gift for whoever asks: a wrong code, or a gift for somebody else."""

    code = "gift_not_found"
    status = 404
    message = "Gift code not found"


class GiftNotRedeemable(DomainError):
    """The gift was redeemed, cancelled, or its time is over. Details: `status`."""

    code = "gift_not_redeemable"
    message = "This gift was redeemed, was cancelled or has expired"


class OwnGift(DomainError):
    """Nobody redeems their own gift."""

    code = "own_gift"
    message = "You cannot redeem your own gift; you can cancel it"


class InvalidGiftAmount(DomainError):
    """A gift holds 1 to 10,000 credits."""

    code = "invalid_gift_amount"
    message = "A gift holds 1 to 10,000 credits"


class InvalidExpiry(DomainError):
    """A gift's end lies in the future, at most 365 days ahead."""

    code = "invalid_expiry"
    message = "A gift expires in the future, after at most 365 days"


@transaction.atomic
def create(creator: User, new: NewGift, *, origin: Origin, now: datetime) -> GiftCode:
    """Take the credits from `creator` and put them into a gift, once per idempotency key.

    Raises InvalidGiftAmount, InvalidExpiry, InsufficientCredits, IdempotencyKeyReused,
    GiftsBlocked.
    """
    if not SMALLEST_GIFT <= positive(new.total_credits) <= LARGEST_GIFT:
        raise InvalidGiftAmount
    if not now < new.expires_at <= now + LONGEST_VALIDITY:
        raise InvalidExpiry
    gift = _drawn(creator, new, now)
    posting = ledger.send_gift(
        creator.id,
        gift.total_credits,
        memo=transitions.memo(gift, "Gift created", new.source_app_id),
        origin=origin,
        gift_id=gift.pk,
        to=gift.target_email,
    )
    if not posting.replayed:
        blocks.refuse_blocked(creator.id)
        gift.payment = posting.transaction
        gift.save(force_insert=True)
    return GiftCode.objects.as_of(now).get(payment=posting.transaction)


def find(text: str, *, guesser: Guesser, now: datetime) -> GiftCode:
    """Return the gift whose code `text` spells, as of now, for anybody to see.

    Raises GiftUnknown, TooManyMisses.
    """
    with throttle.counting(GiftUnknown, text=text, guesser=guesser, now=now):
        return _with_code(GiftCode.objects.as_of(now), text)


def redeem(
    text: str,
    *,
    user: User,
    address: str,
    origin: Origin,
    now: datetime,
    source_app_id: str | None = None,
) -> Redeemed:
    """Move a gift's credits to `user`, once; a replay answers the first redemption.

    Raises GiftUnknown, GiftNotRedeemable, OwnGift, TooManyMisses, IdempotencyKeyReused,
    GiftsBlocked.
    """
    guesser = Guesser(address, user.id)
    with (
        throttle.counting(GiftUnknown, text=text, guesser=guesser, now=now),
        transaction.atomic(),
    ):
        gift = _with_code(GiftCode.objects.select_for_update(), text)
        if not transitions.was_settled(gift, by=user.id, key=origin.key):
            _refuse_redemption(gift, user, now)
        return transitions.arrive(
            gift, user.id, origin=origin, now=_stored(now), source_app_id=source_app_id
        )


@transaction.atomic
def cancel(gift_id: UUID, *, user: User, origin: Origin, now: datetime) -> GiftCode:
    """Give the credits of the user's own gift back, as long as they are in it.

    Raises GiftUnknown, GiftNotRedeemable, IdempotencyKeyReused.
    """
    own = GiftCode.objects.select_for_update().filter(pk=gift_id, creator_id=user.id)
    gift = own.first()
    if gift is None:
        raise GiftUnknown("Gift not found")
    if gift.status != Status.ACTIVE and not transitions.was_settled(
        gift, by=user.id, key=origin.key
    ):
        raise GiftNotRedeemable(status=gift.status)
    transitions.go_back(gift, Status.CANCELLED, origin=origin, now=_stored(now))
    return gift


def created_by(user_id: str, *, now: datetime) -> QuerySet[GiftCode]:
    """Return the gifts that the user made, as of now, newest first."""
    return GiftCode.objects.as_of(now).filter(creator_id=user_id).order_by("-number")


def received_by(user_id: str) -> QuerySet[GiftRedemption]:
    """Return the user's redemptions with their gifts, newest first."""
    own = GiftRedemption.objects.filter(redeemer_id=user_id)
    return own.select_related("gift_code").order_by("-number")


def _drawn(creator: User, new: NewGift, now: datetime) -> GiftCode:
    campaign, number = new.place or (None, None)
    return GiftCode(
        id=new_id(),
        code=code_format.new_code(),
        creator_id=creator.id,
        creator_name=public_name(creator.name),
        total_credits=new.total_credits,
        type=GiftCode.Type.PERSONALIZED if new.target_email else GiftCode.Type.SIMPLE,
        target_email=mailbox(new.target_email) if new.target_email else None,
        message=new.message or None,
        expires_at=_stored(new.expires_at),
        campaign=campaign,
        campaign_number=number,
        created_at=_stored(now),
        updated_at=_stored(now),
    )


def _with_code(gifts: QuerySet[GiftCode], text: str) -> GiftCode:
    code = code_format.read(text)
    gift = gifts.filter(code=code).first() if code else None
    if gift is None:
        raise GiftUnknown
    return gift


def _refuse_redemption(gift: GiftCode, user: User, now: datetime) -> None:
    blocks.refuse_blocked(user.id)
    if gift.creator_id == user.id:
        raise OwnGift
    if gift.target_email is not None and gift.target_email != mailbox(user.email or ""):
        raise GiftUnknown
    if gift.status != Status.ACTIVE:
        raise GiftNotRedeemable(status=gift.status)
    if gift.expires_at <= now:
        raise GiftNotRedeemable(status=Status.EXPIRED)


def _stored(moment: datetime) -> datetime:
    """Return the moment to the millisecond, as the wire shows it."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
