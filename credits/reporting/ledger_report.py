"""The monthly report of all credits: opening balance, movements, closing balance, usage.

The opening is the sum of the earlier transactions. The closing is computed backwards from the
current balances. If opening and movements equal the closing, the month is proved. All figures are
read in one snapshot. Amounts are credits, and months are UTC.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from credits.ledger import books
from credits.models import Transaction
from credits.postgresql import replica
from credits.reporting import months

Type = Transaction.Type
NOTHING = Decimal(0)

# The name of a movement, by its type and whether its amount is negative.
NAMES = {
    (Type.PURCHASE, False): "sold",
    (Type.GRANT, False): "granted",
    (Type.USAGE, True): "spent",
    (Type.REFUND, False): "refunded",
    (Type.CLAWBACK, True): "clawed back",
    (Type.REINSTATEMENT, False): "reinstated",
    (Type.GIFT, True): "put into gifts",
    (Type.GIFT, False): "out of gifts",
    (Type.ADJUSTMENT, False): "adjusted upwards",
    (Type.ADJUSTMENT, True): "adjusted downwards",
    (Type.REVERSAL, False): "reversed upwards",
    (Type.REVERSAL, True): "reversed downwards",
    (Type.EXPIRY, True): "expired",
}

_MOVEMENTS = """
    SELECT CASE WHEN created_at < %(start)s THEN 'before'
                WHEN created_at < %(end)s THEN 'within' ELSE 'after' END,
           type, amount < 0, app_id, operation, count(*), sum(amount)
    FROM credits.transactions GROUP BY 1, 2, 3, 4, 5
"""
_REFUNDS = """
    SELECT r.app_id, u.operation, count(*), sum(r.amount)
    FROM credits.transactions r LEFT JOIN credits.transactions u ON u.id = r.related_id
    WHERE r.type = 'refund' AND r.created_at >= %(start)s AND r.created_at < %(end)s
    GROUP BY 1, 2
"""
# Posted now, held at the start of the month, held at its end.
_STANDING = """
    SELECT (SELECT coalesce(sum(posted), 0) FROM credits.balances),
           coalesce(sum(amount) FILTER (
               WHERE created_at < %(start)s AND (settled_at >= %(start)s OR settled_at IS NULL)
           ), 0),
           coalesce(sum(amount) FILTER (
               WHERE created_at < %(end)s AND (settled_at >= %(end)s OR settled_at IS NULL)
           ), 0)
    FROM credits.reservations
"""


class TransactionSum(NamedTuple):
    """The number of transactions and the sum of their credits."""

    entries: int = 0
    credits: Decimal = NOTHING

    def plus(self, other: "TransactionSum") -> "TransactionSum":
        """Return the sum of both."""
        return TransactionSum(self.entries + other.entries, self.credits + other.credits)


class Standing(NamedTuple):
    """All users' credits at one time: posted, the held part of it, and those in open gift codes."""

    posted: Decimal
    held: Decimal
    in_gifts: Decimal


class OperationUsage(NamedTuple):
    """Credits spent on an app's operation and refunded; `operation` is None for app-set prices."""

    app_id: str
    operation: str | None
    spent: TransactionSum
    refunded: TransactionSum


class Report(NamedTuple):
    """A month's report: opening, movements by name, closing, and usage by app and operation."""

    month: date
    opening: Standing
    movements: dict[str, TransactionSum]
    closing: Standing
    usage: list[OperationUsage]

    @property
    def difference(self) -> Decimal:
        """Return the closing minus opening and movements, in credits: 0 when the books close."""
        moved = sum((one.credits for one in self.movements.values()), NOTHING)
        return self.closing.posted - (self.opening.posted + moved)


class _Row(NamedTuple):
    type: str
    takes: bool
    app_id: str
    operation: str | None
    moved: TransactionSum


class _Facts(NamedTuple):
    before: list[_Row]
    within: list[_Row]
    after: list[_Row]
    refunds: dict[tuple[str, str | None], TransactionSum]
    posted: Decimal
    held: tuple[Decimal, Decimal]


@replica.may_lag
def of_month(month: date, *, now: datetime) -> Report:
    """Return the report of the month of the day `month`, up to now. Raises MonthNotBegun."""
    start, end = months.span_of(month, now=now)
    facts = _facts(start, end)
    held_before, held_now = facts.held
    in_gifts = _in_gifts(facts.before)
    return Report(
        start.date(),
        Standing(_credits(facts.before), held_before, in_gifts),
        _movements(facts.within),
        Standing(
            # From the balances, so that the report proves the books: a missing transaction shows as
            # a difference.
            facts.posted - _credits(facts.after),
            held_now,
            in_gifts + _in_gifts(facts.within),
        ),
        _usage(facts.within, facts.refunds),
    )


def _facts(start: datetime, end: datetime) -> _Facts:
    span = {"start": start, "end": end}
    rows: dict[str, list[_Row]] = {"before": [], "within": [], "after": []}
    # One snapshot: movements that are posted between two queries would make a difference of their
    # own.
    with books.snapshot() as cursor:
        cursor.execute(_MOVEMENTS, span)
        for when, kind, takes, app_id, operation, *moved in cursor.fetchall():
            rows[when].append(_Row(kind, takes, app_id, operation, TransactionSum(*moved)))
        cursor.execute(_REFUNDS, span)
        refunds = {
            (app_id, name): TransactionSum(*moved) for app_id, name, *moved in cursor.fetchall()
        }
        cursor.execute(_STANDING, span)
        posted, *held = cursor.fetchone()
    return _Facts(**rows, refunds=refunds, posted=posted, held=(held[0], held[1]))


def _credits(rows: Iterable[_Row]) -> Decimal:
    return sum((row.moved.credits for row in rows), NOTHING)


def _in_gifts(rows: Iterable[_Row]) -> Decimal:
    """Return the credits that were put into gift codes and have not arrived yet."""
    return -_credits(row for row in rows if row.type == Type.GIFT)


def _movements(rows: Iterable[_Row]) -> dict[str, TransactionSum]:
    movements = dict.fromkeys(NAMES.values(), TransactionSum())
    for row in rows:
        name = NAMES[Type(row.type), row.takes]
        movements[name] = movements[name].plus(row.moved)
    return movements


def _usage(
    rows: Iterable[_Row], refunded: dict[tuple[str, str | None], TransactionSum]
) -> list[OperationUsage]:
    spent: defaultdict[tuple[str, str | None], TransactionSum] = defaultdict(TransactionSum)
    for row in rows:
        if row.type == Type.USAGE:
            spent[row.app_id, row.operation] = row.moved
    keys = sorted({*spent, *refunded}, key=lambda key: (key[0], key[1] or ""))
    return [OperationUsage(*key, spent[key], refunded.get(key, TransactionSum())) for key in keys]
