"""Daily totals: the ledger by type, app and operation, and the revenue in cents.

A day is always summed as a whole and never incremented, so spends do not contend for a counter row
and a day can be summed any number of times. Today and yesterday are summed every few minutes. Older
days are summed only after an import wrote transactions into them (`manage.py sum_days`).
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from django.db import connection, transaction
from django.db.models import Max, Min

from credits.models import DailyRevenue, Transaction

ONE_DAY = timedelta(days=1)

# An unchanged sum is not written again. Every few minutes, that would leave dead rows.
SUM_TRANSACTIONS = """
    WITH fresh AS (
        SELECT type, app_id, coalesce(operation, '') AS operation,
               coalesce(sum(amount) FILTER (WHERE amount > 0), 0) AS credits_in,
               coalesce(-sum(amount) FILTER (WHERE amount < 0), 0) AS credits_out,
               count(*) AS transactions
        FROM credits.transactions WHERE created_at >= %(start)s AND created_at < %(end)s
        GROUP BY 1, 2, 3
    ), vanished AS (
        DELETE FROM credits.daily_totals
        WHERE date = %(date)s
          AND (type, app_id, operation) NOT IN (SELECT type, app_id, operation FROM fresh)
    )
    INSERT INTO credits.daily_totals AS known
        (date, type, app_id, operation, credits_in, credits_out, transactions)
    SELECT %(date)s, type, app_id, operation, credits_in, credits_out, transactions FROM fresh
    ON CONFLICT (date, type, app_id, operation) DO UPDATE SET
        credits_in = excluded.credits_in,
        credits_out = excluded.credits_out,
        transactions = excluded.transactions
    WHERE (known.credits_in, known.credits_out, known.transactions)
        <> (excluded.credits_in, excluded.credits_out, excluded.transactions)
"""

SUM_MONEY = """
    WITH sold AS (
        SELECT count(*) AS purchases, coalesce(sum(price_euro_cents), 0) AS cents
        FROM credits.purchases WHERE completed_at >= %(start)s AND completed_at < %(end)s
    ), back AS (
        SELECT coalesce(sum(r.withdrawn_cents) FILTER (
                   WHERE r.gone_at >= %(start)s AND r.gone_at < %(end)s), 0) AS gone,
               coalesce(sum(r.reinstated_cents) FILTER (
                   WHERE r.returned_at >= %(start)s AND r.returned_at < %(end)s), 0) AS recovered
        FROM credits.returns r JOIN credits.purchases p USING (stripe_payment_intent_id)
        WHERE p.completed_at IS NOT NULL
          AND (r.gone_at >= %(start)s AND r.gone_at < %(end)s
               OR r.returned_at >= %(start)s AND r.returned_at < %(end)s)
    )
    UPDATE credits.daily_revenue SET
        purchases = sold.purchases,
        sold_cents = sold.cents,
        gone_cents = back.gone,
        recovered_cents = back.recovered
    FROM sold, back WHERE date = %(date)s
"""


def sum_due(*, now: datetime) -> Iterator[tuple[date, bool]]:
    """Sum all days from the day before the newest summed one to today.

    Yields each day and whether it was summed; it was not if another process is summing it. A row
    committed more than a day after its timestamp is missed.
    """
    today = now.astimezone(UTC).date()
    known = DailyRevenue.objects.filter(date__lte=today)  # later days: a clock was ahead
    newest = known.aggregate(date=Max("date"))["date"]
    # The newest summed day may have been incomplete, and a transaction of the day before it may
    # have committed after midnight.
    first = newest - ONE_DAY if newest else first_day() or today
    for day in _days(min(first, today), today):
        yield day, _sum_day(day, wait=False)


def sum_days(first: date, last: date) -> Iterator[date]:
    """Sum each UTC day from `first` to `last` in its own transaction; yield each summed day."""
    for day in _days(first, last):
        _sum_day(day, wait=True)
        yield day


def first_day() -> date | None:
    """Return the first day with a transaction or a sum, or None. Reads the whole ledger."""
    moment = Transaction.objects.aggregate(first=Min("created_at"))["first"]
    summed = DailyRevenue.objects.aggregate(first=Min("date"))["first"]
    known = [moment and moment.astimezone(UTC).date(), summed]
    return min((day for day in known if day), default=None)


def _days(first: date, last: date) -> Iterator[date]:
    return (first + offset * ONE_DAY for offset in range((last - first).days + 1))


@transaction.atomic
def _sum_day(day: date, *, wait: bool) -> bool:
    """Sum the day and return True; return False if another process is summing it and not `wait`."""
    start = datetime.combine(day, time(), UTC)
    values = {"date": day, "start": start, "end": start + ONE_DAY}
    DailyRevenue.objects.bulk_create([DailyRevenue(date=day)], ignore_conflicts=True)
    # The lock of this row is the lock of the day's sums.
    row = DailyRevenue.objects.filter(pk=day).select_for_update(skip_locked=not wait)
    if row.first() is None:
        return False
    with connection.cursor() as cursor:
        cursor.execute(SUM_TRANSACTIONS, values)
        cursor.execute(SUM_MONEY, values)
    return True
