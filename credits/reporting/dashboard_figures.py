"""The figures of the back office: what is owed, sold, spent and given back.

Each function is one query, of balances, daily sums and usage statistics, never of the ledger. Days
are UTC days; `today` counts in. What was moved in the last five minutes may not be in the sums yet.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Count, Min, Q, Sum

from credits.models import DailyTotal, JobRun, Reservation, Transaction, UsageStat

ONE_DAY = timedelta(days=1)


class Outstanding(NamedTuple):
    """What is owed to all `accounts` together, in credits.

    `owed` is the sum of all balances above zero and `debts` of those below, without its sign;
    `held` is the part of them in open reservations. `in_gifts` are credits that left their givers
    and did not arrive yet, which are owed besides.
    """

    accounts: int
    owed: Decimal
    debts: Decimal
    held: Decimal
    in_gifts: Decimal


class Period(NamedTuple):
    """What was moved in the day or month that begins on `start`: credits, then cents (EUR).

    `refunded` are used credits given back, `gifted` credits put into gifts, `clawed_back` those
    taken because their money went back, less what was reinstated. `revenue_cents` is `sold_cents`
    less what refunds and disputes took, `returned_cents`, which is less what came back of it.
    """

    start: date
    sold: Decimal
    spent: Decimal
    refunded: Decimal
    gifted: Decimal
    granted: Decimal
    clawed_back: Decimal
    transactions: int
    purchases: int
    sold_cents: int
    returned_cents: int

    @property
    def revenue_cents(self) -> int:
        """What is left of the money, in cents."""
        return self.sold_cents - self.returned_cents


class Spent(NamedTuple):
    """What was spent under a `name` (an app, an operation, a user): credits, in how many usages."""

    name: str
    credits: Decimal
    transactions: int


class OpenReservations(NamedTuple):
    """Open reservations: their `number`, the `credits` they hold, the moment of the oldest.

    `overdue` of them are past their time; the worker expires these.
    """

    number: int
    credits: Decimal
    oldest_at: datetime | None
    overdue: int


class JobResult(NamedTuple):
    """The last run of one of the worker's jobs, or of the command of its name.

    `result` counts its outcomes; `error` is empty when it went well. The moments are the starts of
    the last run, the last good and the last bad one.
    """

    name: str
    started_at: datetime | None
    succeeded_at: datetime | None
    failed_at: datetime | None
    result: Mapping[str, Any]
    error: str

    @property
    def went_well(self) -> bool:
        """Whether the last run was a good one."""
        return not self.error


OUTSTANDING = """
    SELECT count(*),
           coalesce(sum(posted) FILTER (WHERE posted > 0), 0),
           coalesce(-sum(posted) FILTER (WHERE posted < 0), 0),
           coalesce(sum(held), 0),
           (SELECT coalesce(sum(credits_out - credits_in), 0)
            FROM credits.daily_totals WHERE type = 'gift')
    FROM credits.balances
"""

PERIODS = """
    SELECT start::date, t.*, r.*
    FROM generate_series(%(first)s::timestamp, %(last)s::timestamp, %(step)s::interval) start,
    LATERAL (
        SELECT coalesce(sum(credits_in) FILTER (WHERE type = 'purchase'), 0),
               coalesce(sum(credits_out) FILTER (WHERE type = 'usage'), 0),
               coalesce(sum(credits_in) FILTER (WHERE type = 'refund'), 0),
               coalesce(sum(credits_out) FILTER (WHERE type = 'gift'), 0),
               coalesce(sum(credits_in) FILTER (WHERE type = 'grant'), 0),
               coalesce(sum(credits_out - credits_in)
                   FILTER (WHERE type IN ('clawback', 'reinstatement')), 0),
               coalesce(sum(transactions), 0)::bigint
        FROM credits.daily_totals WHERE date >= start AND date < start + %(step)s::interval
    ) t, LATERAL (
        SELECT coalesce(sum(purchases), 0)::bigint, coalesce(sum(sold_cents), 0)::bigint,
               coalesce(sum(gone_cents - recovered_cents), 0)::bigint
        FROM credits.daily_revenue WHERE date >= start AND date < start + %(step)s::interval
    ) r ORDER BY start
"""


def outstanding() -> Outstanding:
    """Return what is owed to all users together."""
    with connection.cursor() as cursor:
        cursor.execute(OUTSTANDING)
        return Outstanding(*cursor.fetchone())


def per_day(days: int, *, today: date) -> list[Period]:
    """Return the last `days` days, oldest first, also those without anything."""
    return _periods(today - (days - 1) * ONE_DAY, today, "1 day")


def per_month(months: int, *, today: date) -> list[Period]:
    """Return the last `months` calendar months, oldest first, also those without anything."""
    index = today.year * 12 + today.month - months
    return _periods(date(index // 12, index % 12 + 1, 1), today.replace(day=1), "1 month")


def by_app(days: int, *, today: date, limit: int = 10) -> list[Spent]:
    """Return the apps in which most was spent in the last `days` days, most first."""
    return _usages("app_id", days, today, limit)


def by_operation(days: int, *, today: date, limit: int = 10) -> list[Spent]:
    """Return the operations for which most was spent in the last `days` days, most first.

    What was spent without naming one stands under the empty name.
    """
    return _usages("operation", days, today, limit)


def top_spenders(days: int, *, today: date, limit: int = 10) -> list[Spent]:
    """Return the users who spent most in the last `days` days, most first."""
    rows = (
        UsageStat.objects.filter(date__range=(today - (days - 1) * ONE_DAY, today))
        .values_list("user_id")
        .annotate(credits=Sum("credits_used"), count=Sum("transactions"))
        .order_by("-credits", "user_id")[:limit]
    )
    return [Spent(*row) for row in rows]


def open_reservations(*, now: datetime) -> OpenReservations:
    """Return what is held by reservations that are under way."""
    found = Reservation.objects.filter(status=Reservation.Status.OPEN).aggregate(
        number=Count("pk"),
        credits=Sum("amount", default=Decimal(0)),
        oldest_at=Min("created_at"),
        overdue=Count("pk", filter=Q(expires_at__lte=now)),
    )
    return OpenReservations(**found)


def job_results() -> dict[str, JobResult]:
    """Return the last run of every job that ever ran, by its name."""
    rows = JobRun.objects.values_list(*JobResult._fields)
    return {row[0]: JobResult(*row) for row in rows}


def _periods(first: date, last: date, step: str) -> list[Period]:
    with connection.cursor() as cursor:
        cursor.execute(PERIODS, {"first": first, "last": last, "step": step})
        return [Period(*row) for row in cursor.fetchall()]


def _usages(name: str, days: int, today: date, limit: int) -> list[Spent]:
    rows = (
        DailyTotal.objects.filter(
            type=Transaction.Type.USAGE, date__range=(today - (days - 1) * ONE_DAY, today)
        )
        .values_list(name)
        .annotate(credits=Sum("credits_out"), count=Sum("transactions"))
        .order_by("-credits", name)[:limit]
    )
    return [Spent(*row) for row in rows]
