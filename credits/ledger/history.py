"""A user's transactions, newest first and filtered, always read by an index on the user.

The suitable index depends on the filter. With a generic ORDER BY, PostgreSQL may read a million
rows of one user to return fifty.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import BigIntegerField, Q, QuerySet, Subquery, Value

from credits.ledger.db_functions import select
from credits.models import Balance, Transaction

USAGE = Transaction.Type.USAGE
# A user with more apps than this has the list read in the order of numbers.
MOST_APPS = 50
LARGEST_NUMBER = 2**63 - 1


class HistoryEntry(NamedTuple):
    """The columns of a transaction in a user's list; `id` is the UUID as text."""

    number: int
    id: str
    user_id: str
    type: str
    amount: Decimal
    balance_before: Decimal
    balance_after: Decimal
    app_id: str
    description: str
    metadata: Any
    idempotency_key: str | None
    created_at: datetime
    metering: Any


# The list without filters, as in most requests: before a number, or after an offset. The offset is
# subtracted from the last number, because a user's numbers have no gaps.
_SELECT = """
    SELECT number, id::text, user_id, type, amount, balance_before, balance_after, app_id,
           description, metadata, idempotency_key, created_at, metering
    FROM credits.transactions
"""
_ORDER = "ORDER BY number DESC LIMIT %s"
BEFORE = f"{_SELECT} WHERE user_id = %s AND number < %s {_ORDER}"
_LAST = "(SELECT b.last_number FROM credits.balances b WHERE b.user_id = %s)"
AFTER_OFFSET = f"{_SELECT} WHERE user_id = %s AND number <= {_LAST} - %s {_ORDER}"

# Loose index scan: one step in the index per app.
_APPS = """
    WITH RECURSIVE apps AS (
        (SELECT app_id FROM credits.transactions WHERE user_id = %(user)s
         ORDER BY app_id LIMIT 1)
        UNION ALL
        SELECT (SELECT t.app_id FROM credits.transactions t
                WHERE t.user_id = %(user)s AND t.app_id > apps.app_id
                ORDER BY t.app_id LIMIT 1)
        FROM apps WHERE apps.app_id IS NOT NULL
    )
    SELECT app_id FROM apps WHERE app_id IS NOT NULL LIMIT %(most)s
"""


@dataclass(frozen=True, slots=True)
class History:
    """One user's transactions; `filters` are ORM lookups on `type`, `app_id` and `created_at`."""

    user_id: str
    filters: dict[str, Any] = field(default_factory=dict)

    def page(self, *, limit: int, offset: int = 0, cursor: int | None = None) -> list[Transaction]:
        """Return up to `limit` transactions, older than the one numbered `cursor` if given."""
        return list(self._page(limit, offset, cursor))

    def entries(
        self, *, limit: int, offset: int = 0, cursor: int | None = None
    ) -> list[HistoryEntry]:
        """Return the same rows as `page`, without instances of the model."""
        # The constant statements below serve most requests and are prepared once per connection.
        if self.filters or (offset and cursor):
            found = self._page(limit, offset, cursor).values_list(*HistoryEntry._fields)
            return [HistoryEntry(number, str(pk), *rest) for number, pk, *rest in found]
        if offset:
            rows = select(AFTER_OFFSET, [self.user_id, self.user_id, offset, limit])
        else:
            rows = select(BEFORE, [self.user_id, cursor or LARGEST_NUMBER, limit])
        return list(map(HistoryEntry._make, rows))

    def _page(self, limit: int, offset: int, cursor: int | None) -> QuerySet[Transaction]:
        if self._by_time():
            rows = self._in_order_of_time(cursor, most=offset + limit)
        else:
            rows = self._in_order_of_numbers(cursor)
            if offset and not self.filters:
                rows, offset = self._skip(rows, offset), 0
        return rows[offset : offset + limit]

    def _by_time(self) -> bool:
        """Return whether to read by the index on app and time.

        It suits a filter on app or time without another type than usage, as most rows are usages.
        """
        kind = self.filters.get("type", USAGE)
        return kind == USAGE and bool(self.filters.keys() - {"type"})

    def _in_order_of_numbers(self, cursor: int | None) -> QuerySet[Transaction]:
        rows = self._rows()
        if self.filters.get("type", USAGE) != USAGE:
            rows = rows.filter(~Q(type=USAGE))  # the condition of the partial index by type
        if cursor is not None:
            rows = rows.filter(number__lt=cursor)
        return rows.order_by("-number")

    def _skip(self, rows: QuerySet[Transaction], offset: int) -> QuerySet[Transaction]:
        """Skip `offset` rows by their numbers, which have no gaps, instead of reading them."""
        last = Balance.objects.filter(pk=self.user_id).values("last_number")
        return rows.filter(
            number__lte=Subquery(last) - Value(offset, output_field=BigIntegerField())
        )

    def _in_order_of_time(self, cursor: int | None, *, most: int) -> QuerySet[Transaction]:
        """Merge up to `most` rows of each app, each read from the index in order."""
        apps = [self.filters["app_id"]] if "app_id" in self.filters else self._apps()
        if not 0 < len(apps) <= MOST_APPS:
            return self._in_order_of_numbers(cursor)
        rows = self._rows().filter(self._before(cursor)).order_by("-created_at", "-number")
        if len(apps) == 1:
            return rows.filter(app_id=apps[0])
        # The newest `most` rows of all apps are among the newest `most` rows of each app.
        first, *others = (rows.filter(app_id=app)[:most] for app in apps)
        return first.union(*others, all=True).order_by("-created_at", "-number")

    def _before(self, cursor: int | None) -> Q:
        """Return the condition that a row follows the one numbered `cursor`, newest first."""
        at = None if cursor is None else self._created_at(cursor)
        if cursor is None or at is None:
            return Q()
        # Several transactions may have the same timestamp, so the number is the tie-break. The
        # first condition follows from the second, but only it is a range that the index can start
        # from.
        return Q(created_at__lte=at) & (Q(created_at__lt=at) | Q(number__lt=cursor))

    def _created_at(self, number: int) -> datetime | None:
        """Return when the transaction was posted, or None if the number does not exist."""
        found = Transaction.objects.filter(user_id=self.user_id, number=number)
        return found.values_list("created_at", flat=True).first()

    def _rows(self) -> QuerySet[Transaction]:
        return Transaction.objects.filter(user_id=self.user_id, **self.filters)

    def _apps(self) -> list[str]:
        with connection.cursor() as cursor:
            cursor.execute(_APPS, {"user": self.user_id, "most": MOST_APPS + 1})
            return [app for (app,) in cursor.fetchall()]
