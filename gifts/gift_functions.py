"""The database functions of gifts (`gifts/sql/`), each with the movement of credits that it posts.

A call generates the ids of the rows, counts the outcome, and is one round trip. `gifts.redeem_gift`
locks the gift, checks whether the user may redeem it, and writes the transaction, the redemption
and the gift's final status. Amounts are credits, times are UTC.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, cast
from uuid import UUID

from credits.ids import new_id
from credits.ledger import Origin
from credits.ledger.db_functions import Routine
from credits.ledger.outcomes import DONE, error_for, movements
from credits.models import Balance
from credits.principals import User
from gifts import (
    blocks,  # noqa: F401  # defines the error for gifts_blocked
    relations,
    transitions,
)
from gifts.models import GiftCode, GiftRedemption
from gifts.throttle import Allowance

_MOVEMENT = ("transaction_id", "app_id", "actor", "request_id", "key", "fingerprint", "at")


class GiftReference(NamedTuple):
    """The gift to redeem, by its code (None if the text is not a code) or by its id."""

    code: str | None = None
    gift_id: UUID | None = None


class Redeemed(NamedTuple):
    """The redemption and the redeemer's current balance."""

    redemption: GiftRedemption
    balance: Balance


class RedemptionAnswer(NamedTuple):
    """The answer to a redemption; `outcome` is `posted`, `replayed`, or the code of an error."""

    outcome: str
    throttled_since: datetime | None
    gift: GiftCode | None
    redemption: GiftRedemption | None
    balance: Balance | None

    def redeemed(self) -> Redeemed:
        """Return the redemption with its gift. Raises the DomainError of any other outcome."""
        if self.outcome not in DONE:
            raise error_for(self.outcome, balance=self.balance)
        redemption = cast("GiftRedemption", self.redemption)
        redemption.gift_code = cast("GiftCode", self.gift)
        return Redeemed(redemption, cast("Balance", self.balance))


class _Created(NamedTuple):
    outcome: str
    required: Decimal | None
    gift: GiftCode | None
    balance: Balance | None


_create_gift = Routine(
    "gifts.create_gift",
    _Created,
    (
        "gift_id",
        "code",
        "creator_id",
        "creator_name",
        "total_credits",
        "type",
        "target_email",
        "message",
        "expires_at",
        "campaign_id",
        "campaign_number",
        "created_at",
        *_MOVEMENT,
    ),
)
_redeem_gift = Routine(
    "gifts.redeem_gift",
    RedemptionAnswer,
    (
        "code",
        "gift_id",
        "user_id",
        "email",
        "now",
        "redemption_id",
        "source_app_id",
        "buckets",
        "limits",
        "since",
        *_MOVEMENT,
    ),
)


def create(
    gift: dict[str, Any], *, app_id: str, origin: Origin, described: tuple[object, ...]
) -> GiftCode:
    """Create a gift with the values `gift`. Raises the DomainError that the database returns.

    `described` is the part of the fingerprint that a replay must repeat.
    """
    movement = _movement(app_id, origin, "create", *described)
    answer = _create_gift(gift_id=new_id(), **gift, **movement)
    movements("gift", answer.outcome).inc()
    if answer.outcome not in DONE:
        raise error_for(answer.outcome, required=answer.required, balance=answer.balance)
    return cast("GiftCode", answer.gift)


def redeem(
    named: GiftReference,
    *,
    user: User,
    origin: Origin,
    now: datetime,
    source_app_id: str | None = None,
    allowance: Allowance | None = None,
) -> RedemptionAnswer:
    """Redeem the gift for the user; with `allowance`, its limits for invalid codes apply."""
    app_id = source_app_id or transitions.APP_ID
    limits = allowance.limits if allowance else {}
    answer = _redeem_gift(
        code=named.code,
        gift_id=named.gift_id,
        user_id=user.id,
        email=relations.comparable_address(user),
        now=stored(now),
        redemption_id=new_id(),
        source_app_id=source_app_id,
        buckets=list(limits),
        limits=list(limits.values()),
        since=allowance.since if allowance else now,
        **_movement(app_id, origin, "redeem", app_id),
    )
    movements("gift", answer.outcome).inc()
    return answer


def stored(moment: datetime) -> datetime:
    """Truncate `moment` to milliseconds, so that the stored value equals the wire's."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _movement(app_id: str, origin: Origin, *described: object) -> dict[str, Any]:
    return {
        "transaction_id": new_id(),
        "app_id": app_id,
        "actor": origin.actor,
        "request_id": origin.request_id,
        "key": origin.key,
        "fingerprint": origin.fingerprint("gift", *described),
        "at": origin.at,
    }
