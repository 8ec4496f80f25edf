"""Caps of service keys, exact under concurrency: a movement and its count commit together.

A movement is posted first and then counted. If the count exceeds the cap, the movement is rolled
back. Replays move nothing and are not counted. A service without a cap costs no extra round trip.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Protocol, TypeVar

from django.db import connection, transaction

from credits import ledger
from credits.errors import DomainError
from credits.ids import id_at
from credits.ledger import Origin, Posting, spend_batches
from credits.ledger.reservations import Hold
from credits.ledger.spend_batches import Spend, Spent
from credits.principals import Service

GRANTS = "daily_grants"
REFUNDS = "daily_refunds"
SPEND_PER_USER = "daily_spend_per_user"
# Ids follow the clock of a web server, `created_at` that of the database.
CLOCKS_DIFFER_BY = timedelta(hours=1)


class CapReached(DomainError):
    """The request would exceed the service key's cap for today. Details: `cap`, `limit`."""

    code = "cap_reached"
    status = 403
    message = "The service key's cap for today is reached"


class Replayable(Protocol):
    """The result of a ledger function."""

    @property
    def replayed(self) -> bool:
        """Return whether the call was a replay, which moved nothing."""


Result = TypeVar("Result", bound=Replayable)

# One statement: it locks the row, so of two concurrent grants the second one adds to the count of
# the first. The condition of the SELECT is for the first movement of a day, which has no row to
# compare.
_ADD = """
    INSERT INTO credits.service_totals AS total (service, day, cap, credits)
    SELECT %(service)s, %(day)s, %(cap)s, %(amount)s WHERE %(amount)s <= %(limit)s
    ON CONFLICT (service, day, cap) DO UPDATE SET credits = total.credits + excluded.credits
    WHERE total.credits + excluded.credits <= %(limit)s
"""
# The caller has just moved the user's balance, so it holds the lock on that row until it commits:
# no other spend of the user can be counted at the same time. Ids contain the time, so the primary
# key finds today's transactions in any history.
_SPENT = """
    SELECT (
        SELECT coalesce(-sum(amount), 0) FROM credits.transactions
        WHERE user_id = %(user_id)s AND id >= %(first_id)s AND created_at >= %(since)s
          AND type = 'usage' AND actor = %(actor)s
    ) + (
        SELECT coalesce(sum(amount), 0) FROM credits.reservations
        WHERE user_id = %(user_id)s AND status = 'open' AND actor = %(actor)s
    )
"""


def counted(
    service: Service, cap: str, amount: Decimal, post: Callable[[], Result], *, now: datetime
) -> Result:
    """Call `post` and count `amount` credits against the service's cap; return the result.

    Raises CapReached, which rolls the movement back.
    """
    return _capped(service, cap, post, lambda _, limit: _add(service, cap, amount, limit, now))


def spending(
    service: Service, user_id: str, spend: Callable[[], Result], *, now: datetime
) -> Result:
    """Call `spend`, which posts a usage or a hold, within the service's cap per user.

    The cap limits the sum of what the service spent for the user today and what it holds. Returns
    the result. Raises CapReached, which rolls the movement back.
    """
    return _capped(
        service,
        SPEND_PER_USER,
        spend,
        lambda _, limit: _spent_today(service, user_id, now) <= limit,
    )


def committing(service: Service, commit: Callable[[], Hold], *, now: datetime) -> Hold:
    """Call `commit`, which settles a reservation, within the service's cap per user.

    A commit must fit the cap if it takes more than its hold, or if another service reserved it.
    Raises CapReached, which rolls the commit back.
    """

    def fits(hold: Hold, limit: Decimal) -> bool:
        reservation = hold.reservation
        taken = reservation.committed_amount or Decimal(0)
        # The service's own holds were counted when it reserved them.
        if reservation.actor == service.actor and taken <= reservation.amount:
            return True
        return _spent_today(service, reservation.user_id, now) <= limit

    return _capped(service, SPEND_PER_USER, commit, fits)


def spend_all(
    service: Service, items: Sequence[Spend], *, origin: Origin, now: datetime
) -> list[Spent | Posting | DomainError]:
    """Post a batch of spends and return the results in order; with a cap, post them one by one."""
    if SPEND_PER_USER not in service.caps:
        return [*spend_batches.spend_all(items, origin=origin)]
    # In a transaction each, so that a spend beyond the cap is rolled back alone.
    return [_spend_one(service, item, origin, now) for item in items]


def _capped(
    service: Service,
    cap: str,
    post: Callable[[], Result],
    fits: Callable[[Result, Decimal], bool],
) -> Result:
    """Call `post`, then undo it if what it moved does not fit the cap.

    A refusal by `post` has moved nothing, so it commits: the ledger notes a limit that is reached.
    """
    limit = service.caps.get(cap)
    if limit is None:
        return post()
    with transaction.atomic():
        # Posted before counted: a replay must be recognised first, and it must not count.
        try:
            result = post()
        except DomainError as error:
            refusal = error
        else:
            if not result.replayed and not fits(result, limit):
                raise CapReached(cap=cap, limit=limit)
            return result
    raise refusal


def _spend_one(
    service: Service, item: Spend, origin: Origin, now: datetime
) -> Posting | DomainError:
    keyed = origin._replace(key=item.key)
    spend = partial(ledger.spend, item.user_id, item.amount, memo=item.memo, origin=keyed)
    try:
        return spending(service, item.user_id, spend, now=now)
    except DomainError as refusal:
        return refusal


def _add(service: Service, cap: str, amount: Decimal, limit: Decimal, now: datetime) -> bool:
    """Count `amount` against the cap; return False, and count nothing, if it does not fit."""
    values = {
        "service": service.name,
        "day": now.date(),
        "cap": cap,
        "amount": amount,
        "limit": limit,
    }
    with connection.cursor() as cursor:
        cursor.execute(_ADD, values)
        return bool(cursor.rowcount == 1)


def _spent_today(service: Service, user_id: str, now: datetime) -> Decimal:
    since = datetime.combine(now.date(), time.min, UTC)
    values: dict[str, Any] = {
        "user_id": user_id,
        # The earliest id of the day. The clocks of a web server and of the database may differ.
        "first_id": id_at(since - CLOCKS_DIFFER_BY, random=0),
        "since": since,
        "actor": service.actor,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SPENT, values)
        spent: Decimal = cursor.fetchone()[0]
    return spent
