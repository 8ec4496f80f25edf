"""Gift codes: create, find, redeem, cancel.

Lock order: the gift's row first, balances last. All invalid codes get the same answer, so that an
attacker learns nothing. Amounts are credits, times are UTC. See also `expiry`, `pending` (gifts for
people who have not registered) and `campaigns` (sets of codes).
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, cast
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from credits.amounts import plain, positive
from credits.email_addresses import mailbox
from credits.errors import DomainError
from credits.ledger import Origin
from credits.principals import User
from gifts import code_format, gift_functions, throttle, transitions
from gifts.display_name import public_name
from gifts.gift_functions import GiftReference, Redeemed, stored
from gifts.models import LARGEST_GIFT, SMALLEST_GIFT, Campaign, GiftCode, GiftRedemption
from gifts.throttle import Attempt, TooManyMisses
from gifts.transitions import Status

DEFAULT_VALIDITY = timedelta(days=90)
LONGEST_VALIDITY = timedelta(days=365)


class NewGift(NamedTuple):
    """A gift to create; personalised if it has a target e-mail.

    `place` is the campaign and the number in it, if any.
    """

    total_credits: Decimal
    expires_at: datetime
    target_email: str | None = None
    message: str | None = None
    source_app_id: str | None = None
    place: tuple[Campaign, int] | None = None
    creator_name: str | None = None


class GiftUnknown(DomainError):
    """The code is wrong, or the gift is for somebody else."""

    code = "gift_not_found"
    status = 404
    message = "Gift code not found"


class GiftNotRedeemable(DomainError):
    """The gift was redeemed or cancelled, or has expired. Details: `status`."""

    code = "gift_not_redeemable"
    message = "Gift code is depleted"

    def __init__(self, *, status: str) -> None:
        text = "Gift code expired" if status == Status.EXPIRED else f"Gift code is {status}"
        super().__init__(text, status=status)


class OwnGift(DomainError):
    """Users cannot redeem their own gifts."""

    code = "own_gift"
    field = "code"
    message = "You cannot redeem your own gift; you can cancel it"


class GiftOfExpiringCredits(DomainError):
    """The gift would take credits that expire, and would give credits that do not."""

    code = "gift_of_expiring_credits"
    status = 402
    field = "total_credits"
    message = "Credits that expire cannot be given away"


class InvalidGiftAmount(DomainError):
    """A gift holds 1 to 10,000 credits."""

    code = "invalid_gift_amount"
    field = "total_credits"
    message = "A gift holds 1 to 10,000 credits"


class InvalidExpiry(DomainError):
    """The expiry of a gift must be in the future, at most 365 days ahead."""

    code = "invalid_expiry"
    field = "expires_at"
    message = "The expiry must be in the future, at most 365 days ahead"


def create(creator: User, new: NewGift, *, origin: Origin, now: datetime) -> GiftCode:
    """Create a gift with credits taken from `creator`, once per idempotency key.

    Raises InvalidGiftAmount, InvalidExpiry, InsufficientCredits, GiftOfExpiringCredits,
    IdempotencyKeyReused, GiftsBlocked.
    """
    if not SMALLEST_GIFT <= positive(new.total_credits) <= LARGEST_GIFT:
        raise InvalidGiftAmount
    if not now < new.expires_at <= now + LONGEST_VALIDITY:
        raise InvalidExpiry
    # The fingerprint has the values after their normalization, so that a retry with another
    # spelling of the address is the same request.
    app_id, target = new.source_app_id or transitions.APP_ID, _target(new)
    gift = gift_functions.create(
        {**_columns(creator, new, now), "target_email": target},
        app_id=app_id,
        origin=origin,
        described=(plain(new.total_credits), app_id, target),
    )
    # A replay returns the first gift, which may have expired since.
    gift.status_now = gift.status_at(now)
    return gift


def find(text: str, *, guesser: Attempt, now: datetime) -> GiftCode:
    """Return the gift with the code `text`, with its status at `now`; anybody may see it.

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
    """Move a gift's credits to `user`, once; a replay returns the first redemption.

    Raises GiftUnknown, GiftNotRedeemable, OwnGift, TooManyMisses, IdempotencyKeyReused,
    GiftsBlocked.
    """
    # Invalid codes are counted per user and per address. The database function compares the counts
    # with the limits before it looks for the code, in the same round trip.
    allowance = throttle.allowance(text, Attempt(address, user.id), now=now)
    answer = gift_functions.redeem(
        GiftReference(code_format.read(text)),
        user=user,
        origin=origin,
        now=now,
        source_app_id=source_app_id,
        allowance=allowance,
    )
    match answer.outcome:
        case TooManyMisses.code:
            raise throttle.error_until(answer.throttled_since, now=now)
        case GiftUnknown.code:
            # Counted here, outside the function, so that a rollback of its changes keeps the count.
            throttle.count_miss(allowance, now=now)
        case GiftNotRedeemable.code:
            # An expired gift has the status `active` until the worker returns its credits. The user
            # must read that it has expired.
            raise GiftNotRedeemable(status=cast("GiftCode", answer.gift).status_at(now))
    return answer.redeemed()


@transaction.atomic
def cancel(gift_id: UUID, *, user: User, origin: Origin, now: datetime) -> GiftCode:
    """Cancel the user's own active gift and return its credits to the user.

    Raises GiftUnknown, GiftNotRedeemable, IdempotencyKeyReused.
    """
    # By the id and the creator together: a gift of somebody else is like a missing one. The lock
    # comes first, balances last.
    own = GiftCode.objects.select_for_update().filter(pk=gift_id, creator_id=user.id)
    gift = own.first()
    if gift is None:
        raise GiftUnknown("Gift not found")
    # A retry of the request that cancelled the gift passes, and `go_back` returns the replay.
    if gift.status != Status.ACTIVE and not transitions.was_settled(
        gift, by=user.id, key=origin.key
    ):
        raise GiftNotRedeemable(status=gift.status)
    transitions.go_back(gift, Status.CANCELLED, origin=origin, now=stored(now))
    return gift


def created_by(user_id: str, *, now: datetime) -> QuerySet[GiftCode]:
    """Return the gifts that the user created, with their status at `now`, newest first."""
    return GiftCode.objects.as_of(now).filter(creator_id=user_id).order_by("-number")


def received_by(user_id: str) -> QuerySet[GiftRedemption]:
    """Return the user's redemptions with their gifts, newest first."""
    own = GiftRedemption.objects.filter(redeemer_id=user_id)
    return own.select_related("gift_code").order_by("-number")


def _columns(creator: User, new: NewGift, now: datetime) -> dict[str, Any]:
    campaign, number = new.place or (None, None)
    return {
        "code": code_format.new_code(),
        "creator_id": creator.id,
        "creator_name": public_name(new.creator_name) or public_name(creator.name),
        "total_credits": new.total_credits,
        "type": GiftCode.Type.PERSONALIZED if new.target_email else GiftCode.Type.SIMPLE,
        "message": new.message or None,
        "expires_at": stored(new.expires_at),
        "campaign_id": campaign and campaign.pk,
        "campaign_number": number,
        "created_at": stored(now),
    }


def _target(new: NewGift) -> str | None:
    return mailbox(new.target_email) if new.target_email else None


def _with_code(gifts: QuerySet[GiftCode], text: str) -> GiftCode:
    code = code_format.read(text)
    gift = gifts.filter(code=code).first() if code else None
    if gift is None:
        raise GiftUnknown
    return gift
