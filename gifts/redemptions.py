"""Redemptions of a gift by its code or its id, for a user.

The database function locks the gift, checks whether the user may redeem it, and writes the
transaction, the redemption and the gift's final status. Times are UTC.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from credits.ledger import Origin
from credits.principals import User
from gifts import gift_functions, relations, transitions
from gifts.gift_functions import RedemptionAnswer
from gifts.moments import stored
from gifts.throttle import Allowance


class Named(NamedTuple):
    """The gift to redeem, by its code (None if the text is not a code) or by its id."""

    code: str | None = None
    gift_id: UUID | None = None


def redeem(
    named: Named,
    *,
    user: User,
    origin: Origin,
    now: datetime,
    source_app_id: str | None = None,
    allowance: Allowance | None = None,
) -> RedemptionAnswer:
    """Redeem the gift in the database; with `allowance`, its limits for wrong codes apply."""
    limits = allowance.limits if allowance else {}
    asked = {
        "code": named.code,
        "gift_id": named.gift_id,
        "user_id": user.id,
        "email": relations.comparable_address(user),
        "now": stored(now),
        "source_app_id": source_app_id,
        "buckets": list(limits),
        "limits": list(limits.values()),
        "since": allowance.since if allowance else now,
    }
    return gift_functions.redeem(asked, app_id=source_app_id or transitions.APP_ID, origin=origin)
