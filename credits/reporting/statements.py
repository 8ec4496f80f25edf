"""A user's statement of a month: opening balance, movements, closing balance, held credits.

A statement consists of sheets of at most MOVEMENTS_PER_SHEET movements, so that a month of any
length is read in bounded time and memory. A sheet is a range of the user's transaction numbers,
which have no gaps. Months are UTC. Amounts are credits.

A transaction belongs to the month in which it was written, as in the daily anchors: `created_at`,
or `recorded_at` for imported history. Therefore a statement never changes once it is final.
See docs/decisions/0092-signed-statements.md.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.conf import settings
from django.db.backends.utils import CursorWrapper

from credits.ids import id_at
from credits.ledger import books
from credits.ledger.reservations import LONGEST_TTL
from credits.postgresql import replica
from credits.reporting import months

VERSION = 1
MOVEMENTS_PER_SHEET = 500
# A row may be written up to an hour after its `created_at` without a `recorded_at`. Anchors wait as
# long as this.
SETTLED_AFTER = timedelta(hours=2)
# Allows for two machines' clocks, and the time between making a reservation's id and storing it.
CLOCK_TOLERANCE = timedelta(days=1)

# The user's last transaction before `end`. Times increase with the numbers, except for up to an
# hour, so a binary search finds a row after which all are later, and the scan starts there.
_LAST_BEFORE = """
    WITH RECURSIVE search (low, high) AS (
        SELECT 0::bigint, last_number + 1 FROM credits.balances WHERE user_id = %(user)s
        UNION ALL
        SELECT CASE WHEN t.at < %(settled)s THEN t.number ELSE s.low END,
               CASE WHEN t.at < %(settled)s THEN s.high ELSE t.number END
        FROM search s CROSS JOIN LATERAL (
            SELECT number, coalesce(recorded_at, created_at) AS at FROM credits.transactions
            WHERE user_id = %(user)s AND number = (s.low + s.high) / 2
        ) t
        WHERE s.high - s.low > 1
    )
    SELECT number, balance_after, encode(digest, 'hex') FROM credits.transactions
    WHERE user_id = %(user)s AND number < (SELECT min(high) FROM search)
      AND coalesce(recorded_at, created_at) < %(end)s
    ORDER BY number DESC LIMIT 1
"""
_MOVEMENTS = """
    SELECT number, id::text, type, amount, balance_after, app_id, description, created_at,
           recorded_at, metering::text
    FROM credits.transactions
    WHERE user_id = %(user)s AND number > %(after)s AND number <= %(last)s
    ORDER BY number
"""
# Ids of reservations sort by creation, so only those are read that may still have been open.
_HELD = """
    SELECT coalesce(sum(amount), 0) FROM credits.reservations
    WHERE user_id = %(user)s AND id >= %(oldest)s AND created_at < %(end)s
      AND (settled_at >= %(end)s OR settled_at IS NULL)
"""


class StatementLine(NamedTuple):
    """A transaction in a statement. `recorded_at` is set if that is long after `created_at`."""

    number: int
    id: str
    type: str
    amount: Decimal
    balance_after: Decimal
    app_id: str
    description: str
    created_at: datetime
    recorded_at: datetime | None
    metering: dict[str, Any] | None


class ChainEnd(NamedTuple):
    """The user's last transaction before a time: number, posted balance, digest of the chain."""

    number: int = 0
    balance: Decimal = Decimal(0)
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """One sheet of a statement. All other values are those of the whole month up to now.

    `first` is the first day of the month. `digest` is that of the chain at the end of the month,
    or None without transactions. `count` is the number of movements in the month.
    """

    user_id: str
    first: date
    final: bool
    created_at: datetime
    opening: Decimal
    closing: Decimal
    held: Decimal
    digest: str | None
    last_number: int
    count: int
    sheet: int
    sheets: int
    movements: list[StatementLine]

    @property
    def version(self) -> int:
        """Return the version of the format that is signed."""
        return VERSION

    @property
    def issuer(self) -> str:
        """Return the public URL of the service."""
        url: str = settings.BASE_URL
        return url


@replica.may_lag
def of_month(user_id: str, first: date, *, sheet: int, now: datetime) -> Statement:
    """Return a sheet (1, 2, 3 …) of the user's statement of the month that begins on `first`.

    A sheet after the last one has no movements. Raises MonthNotBegun.
    """
    start, end = months.span_of(first, now=now)
    # One snapshot, so that the movements between opening and closing add up even while new ones are
    # posted.
    with books.snapshot() as cursor:
        opening = _chain_end(cursor, user_id, start)
        closing = _chain_end(cursor, user_id, end)
        after = opening.number + (sheet - 1) * MOVEMENTS_PER_SHEET
        last = min(after + MOVEMENTS_PER_SHEET, closing.number)
        movements = _movements(cursor, {"user": user_id, "after": after, "last": last})
        held = _held(cursor, user_id, end)
    count = closing.number - opening.number
    return Statement(
        user_id=user_id,
        first=start.date(),
        final=now >= end + SETTLED_AFTER,
        created_at=now,
        opening=opening.balance,
        closing=closing.balance,
        held=held,
        digest=closing.digest,
        last_number=closing.number,
        count=count,
        sheet=sheet,
        sheets=max(1, -(-count // MOVEMENTS_PER_SHEET)),
        movements=movements,
    )


def _chain_end(cursor: CursorWrapper, user_id: str, end: datetime) -> ChainEnd:
    cursor.execute(_LAST_BEFORE, {"user": user_id, "end": end, "settled": end + SETTLED_AFTER})
    row = cursor.fetchone()
    return ChainEnd(*row) if row else ChainEnd()


def _movements(cursor: CursorWrapper, values: Mapping[str, Any]) -> list[StatementLine]:
    cursor.execute(_MOVEMENTS, values)
    return [
        StatementLine._make((*values, metering and json.loads(metering)))
        for *values, metering in cursor.fetchall()
    ]


def _held(cursor: CursorWrapper, user_id: str, end: datetime) -> Decimal:
    oldest = id_at(end - LONGEST_TTL - CLOCK_TOLERANCE, 0)
    cursor.execute(_HELD, {"user": user_id, "end": end, "oldest": oldest})
    (held,) = cursor.fetchone()
    return Decimal(held)
