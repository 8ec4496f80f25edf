"""Lots: credits that expire, as a user's balance shows them. Amounts are credits, times are UTC.

The database functions move them (`credits/ledger/sql/move_lots.sql`): a movement takes what expires
first. See docs/decisions/0101-credits-that-expire.md.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any, NamedTuple, cast
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Sum

from credits.errors import DomainError
from credits.ledger.db_functions import call
from credits.models import Balance, CreditLot

LONGEST_VALIDITY = timedelta(days=3650)


class InvalidCreditExpiry(DomainError):
    """The expiry of granted credits must be in the future, at most 3650 days ahead."""

    code = "invalid_credit_expiry"
    field = "expires_at"
    message = "The credits must expire in the future, at most 3650 days ahead"


class Expiring(NamedTuple):
    """The credits that expire at one time."""

    amount: Decimal
    at: datetime


def require_bounded(expires_at: datetime | None, *, now: datetime) -> None:
    """Raise InvalidCreditExpiry if credits would expire more than 3650 days after `now`.

    The database rejects an expiry in the past, after it has looked for a replay.
    """
    if expires_at is not None and expires_at > now + LONGEST_VALIDITY:
        raise InvalidCreditExpiry


def balance_at(user_id: str, *, now: datetime) -> Balance | None:
    """Return a balance as of `now`: without what has expired, even if that is not posted yet.

    None if there is no such balance.
    `expiring` lists the available credits that expire later, the first to expire first. The row and
    its lots are read in one statement, because the worker may post an expiry meanwhile.
    """
    lots = CreditLot.objects.filter(user_id=OuterRef("pk"), remaining__gt=0)
    lots = lots.order_by("expires_at", "pk")
    rows: Any = Balance.objects.annotate(
        amounts=ArraySubquery(lots.values("remaining")),
        times=ArraySubquery(lots.values("expires_at")),
    )
    row = rows.filter(pk=user_id).first()
    if row is None:
        return None
    left = [Expiring(*lot) for lot in zip(row.amounts, row.times, strict=True)]
    expired = sum((lot.amount for lot in left if lot.at <= now), Decimal(0))
    row.posted -= expired
    # As the posted expiry will: it lowers the total earned, like a claw-back.
    row.total_earned -= expired
    row.expiring = _by_time([lot for lot in left if lot.at > now])
    return cast("Balance", row)


def expired_of(user_ids: Collection[str], *, now: datetime) -> dict[str, Decimal]:
    """Return the expired credits without a posted expiry, by user id, for users who have some."""
    due = CreditLot.objects.filter(user_id__in=user_ids, remaining__gt=0, expires_at__lte=now)
    summed = due.values_list("user_id").annotate(Sum("remaining")).order_by()
    return dict(summed)


def lock_owner(user_id: str, _lot_id: UUID, wait: bool) -> bool:
    """Lock the balance of a lot's owner, as `DueWork.lock`. Return whether it is locked.

    The balance's lock protects the lots. Locking a lot first could deadlock with a movement.
    """
    locked: bool = call("credits.lock_balance", user_id=user_id, wait=wait)
    return locked


def _by_time(lots: list[Expiring]) -> list[Expiring]:
    grouped = groupby(lots, key=lambda lot: lot.at)
    return [Expiring(sum((lot.amount for lot in some), Decimal(0)), at) for at, some in grouped]
