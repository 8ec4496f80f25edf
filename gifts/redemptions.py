"""Redemptions: one call of the database function `gifts.redeem_gift` (`gifts/sql/`).

The function locks the gift, checks whether the user may redeem it, and writes the transaction, the
redemption and the gift's final status. Amounts are credits, times are UTC.
"""

from datetime import datetime
from typing import NamedTuple, cast
from uuid import UUID

from credits.email_addresses import mailbox
from credits.ids import new_id
from credits.ledger import Origin
from credits.ledger.db_functions import Routine
from credits.ledger.movement_counters import movements
from credits.ledger.posting import DONE, error_for
from credits.models import Balance
from credits.principals import User
from gifts import blocks, transitions  # noqa: F401  # blocks defines the error for gifts_blocked
from gifts.models import GiftCode, GiftRedemption
from gifts.moments import stored
from gifts.throttle import Allowance


class Named(NamedTuple):
    """The gift to redeem, by its code (None if the text is not a code) or by its id."""

    code: str | None = None
    gift_id: UUID | None = None


class Redeemed(NamedTuple):
    """The redemption and the redeemer's current balance."""

    redemption: GiftRedemption
    balance: Balance


class Answer(NamedTuple):
    """The database's answer; `outcome` is `posted`, `replayed`, or the code of an error."""

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


_redeem_gift = Routine(
    "gifts.redeem_gift",
    Answer,
    (
        "code",
        "gift_id",
        "user_id",
        "email",
        "now",
        "redemption_id",
        "transaction_id",
        "source_app_id",
        "app_id",
        "actor",
        "request_id",
        "key",
        "fingerprint",
        "at",
        "buckets",
        "limits",
        "since",
    ),
)


def redeem(
    named: Named,
    *,
    user: User,
    origin: Origin,
    now: datetime,
    source_app_id: str | None = None,
    allowance: Allowance | None = None,
) -> Answer:
    """Redeem the gift in the database; with `allowance`, its limits for wrong codes apply."""
    app_id = source_app_id or transitions.APP_ID
    limits = allowance.limits if allowance else {}
    answer = _redeem_gift(
        code=named.code,
        gift_id=named.gift_id,
        user_id=user.id,
        email=_comparable(user.email if user.email_verified else None),
        now=stored(now),
        redemption_id=new_id(),
        transaction_id=new_id(),
        source_app_id=source_app_id,
        app_id=app_id,
        actor=origin.actor,
        request_id=origin.request_id,
        key=origin.key,
        fingerprint=origin.fingerprint("gift", "redeem", app_id),
        at=origin.at,
        buckets=list(limits),
        limits=list(limits.values()),
        since=allowance.since if allowance else now,
    )
    movements("gift", answer.outcome).inc()
    return answer


def is_for(gift: GiftCode, user: User) -> bool:
    """Return whether the gift is for anybody, or for the user's verified e-mail address."""
    verified = user.email if user.email_verified else None
    return gift.target_email is None or gift.target_email == _comparable(verified)


def _comparable(email: str | None) -> str:
    """Return the e-mail address in canonical form; empty if PostgreSQL cannot store it."""
    # Not None: in SQL, a comparison with null would let anybody redeem a personalized gift.
    address = mailbox(email or "")
    return "" if "\x00" in address else address
