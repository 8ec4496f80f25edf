"""The figures of the dashboard: credits owed, sold, spent and returned.

Each function is one query of balances, daily totals or usage statistics, never of the ledger. Days
are UTC days and include `today`. The sums may lack the movements of the last five minutes.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Count, Min, Q, Sum

from credits.models import DailyTotal, JobRun, Reservation, Transaction, UsageStat
from credits.postgresql import replica

ONE_DAY = timedelta(days=1)


class Outstanding(NamedTuple):
    """The credits owed to the users of all `accounts`.

    `owed` is the sum of all positive balances without what has expired; `expired` is that part,
    which the worker posts later. `debts` is the absolute sum of the negative balances.
    `held` is the part of the balances in open reservations. `in_gifts` are credits in open gift
    codes: they have left their creators' balances and are owed in addition to `owed`.
    """

    accounts: int
    owed: Decimal
    debts: Decimal
    held: Decimal
    in_gifts: Decimal
    expired: Decimal


class Period(NamedTuple):
    """The movements of the day or month that begins on `start`: credits, then cents (EUR).

    `refunded` is the sum of used credits given back, `gifted` of credits put into gift codes, and
    `clawed_back` of claw-backs minus reinstatements. `expired` does not subtract expiries that an
    operator reversed. `returned_cents` is what refunds and disputes withdrew minus what was
    reinstated. `revenue_cents` is `sold_cents` minus `returned_cents`.
    """

    start: date
    sold: Decimal
    spent: Decimal
    refunded: Decimal
    gifted: Decimal
    granted: Decimal
    clawed_back: Decimal
    expired: Decimal
    transactions: int
    purchases: int
    sold_cents: int
    returned_cents: int

    @property
    def revenue_cents(self) -> int:
        """Return the sales minus the returned money, in cents."""
        return self.sold_cents - self.returned_cents


class SpendingShare(NamedTuple):
    """The credits spent by an app, operation or user (`name`), and the number of usages."""

    name: str
    credits: Decimal
    transactions: int


class OpenReservations(NamedTuple):
    """Open reservations: their `number`, the `credits` they hold, the creation of the oldest.

    `overdue` is the number of them that are past `expires_at` and will be expired by the worker.
    """

    number: int
    credits: Decimal
    oldest_at: datetime | None
    overdue: int


class JobResult(NamedTuple):
    """The last run of one of the worker's jobs, or of the command with the same name.

    `result` counts the outcomes. `error` is empty if the run succeeded. The timestamps are the
    starts of the last run, the last successful one and the last failed one. `differences` has pairs
    of an object's name and a sentence.
    """

    name: str
    started_at: datetime | None
    succeeded_at: datetime | None
    failed_at: datetime | None
    result: Mapping[str, Any]
    error: str
    differences: Sequence[tuple[str, str]]

    @property
    def went_well(self) -> bool:
        """Return whether the last run succeeded."""
        return not self.error


# Gifts: what left creators minus what arrived is what open codes hold. Reading the sums is cheaper
# than reading all codes.
OUTSTANDING = """
    WITH expired AS (
        SELECT coalesce(sum(remaining), 0) AS credits
        FROM credits.credit_lots WHERE remaining > 0 AND expires_at <= %(now)s
    )
    SELECT count(*),
           coalesce(sum(posted) FILTER (WHERE posted > 0), 0) - (SELECT credits FROM expired),
           coalesce(-sum(posted) FILTER (WHERE posted < 0), 0),
           coalesce(sum(held), 0),
           (SELECT coalesce(sum(credits_out - credits_in), 0)
            FROM credits.daily_totals WHERE type = 'gift'),
           (SELECT credits FROM expired)
    FROM credits.balances
"""

# One statement for all periods: generate_series has the empty ones too. The LATERAL subqueries read
# each period by the index of the dates.
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
               coalesce(sum(credits_out) FILTER (WHERE type = 'expiry'), 0),
               coalesce(sum(transactions), 0)::bigint
        FROM credits.daily_totals WHERE date >= start AND date < start + %(step)s::interval
    ) t, LATERAL (
        SELECT coalesce(sum(purchases), 0)::bigint, coalesce(sum(sold_cents), 0)::bigint,
               coalesce(sum(gone_cents - recovered_cents), 0)::bigint
        FROM credits.daily_revenue WHERE date >= start AND date < start + %(step)s::interval
    ) r ORDER BY start
"""


@replica.may_lag
def outstanding(*, now: datetime) -> Outstanding:
    """Return the credits owed to all users."""
    with replica.connection().cursor() as cursor:
        cursor.execute(OUTSTANDING, {"now": now})
        return Outstanding(*cursor.fetchone())


@replica.may_lag
def per_day(days: int, *, today: date) -> list[Period]:
    """Return the last `days` days, oldest first, including days without movements."""
    return _periods(today - (days - 1) * ONE_DAY, today, "1 day")


@replica.may_lag
def per_month(months: int, *, today: date) -> list[Period]:
    """Return the last `months` calendar months, oldest first, including empty ones."""
    # Months counted from year 0. `today.month` counts from 1, so this is the first month of the
    # span.
    index = today.year * 12 + today.month - months
    return _periods(date(index // 12, index % 12 + 1, 1), today.replace(day=1), "1 month")


@replica.may_lag
def by_app(days: int, *, today: date, limit: int = 10) -> list[SpendingShare]:
    """Return the apps with the highest spending in the last `days` days, highest first."""
    return _usages("app_id", days, today, limit)


@replica.may_lag
def by_operation(days: int, *, today: date, limit: int = 10) -> list[SpendingShare]:
    """Return the operations with the highest spending in the last `days` days, highest first.

    Spending without an operation has an empty name.
    """
    return _usages("operation", days, today, limit)


@replica.may_lag
def top_spenders(days: int, *, today: date, limit: int = 10) -> list[SpendingShare]:
    """Return the users with the highest spending in the last `days` days, highest first."""
    rows = (
        UsageStat.objects.filter(date__range=(today - (days - 1) * ONE_DAY, today))
        .values_list("user_id")
        .annotate(credits=Sum("credits_used"), count=Sum("transactions"))
        .order_by("-credits", "user_id")[:limit]
    )
    return [SpendingShare(*row) for row in rows]


@replica.may_lag
def open_reservations(*, now: datetime) -> OpenReservations:
    """Return the number, the credits and the age of all open reservations."""
    found = Reservation.objects.filter(status=Reservation.Status.OPEN).aggregate(
        number=Count("pk"),
        credits=Sum("amount", default=Decimal(0)),
        oldest_at=Min("created_at"),
        overdue=Count("pk", filter=Q(expires_at__lte=now)),
    )
    return OpenReservations(**found)


# From the primary: a job that has just run must not look as if it had not.
def job_results() -> dict[str, JobResult]:
    """Return the last run of every job that ever ran, by job name."""
    rows = JobRun.objects.values_list(*JobResult._fields)
    return {row[0]: JobResult(*row) for row in rows}


def _periods(first: date, last: date, step: str) -> list[Period]:
    with replica.connection().cursor() as cursor:
        cursor.execute(PERIODS, {"first": first, "last": last, "step": step})
        return [Period(*row) for row in cursor.fetchall()]


def _usages(name: str, days: int, today: date, limit: int) -> list[SpendingShare]:
    rows = (
        DailyTotal.objects.filter(
            type=Transaction.Type.USAGE, date__range=(today - (days - 1) * ONE_DAY, today)
        )
        .values_list(name)
        .annotate(credits=Sum("credits_out"), count=Sum("transactions"))
        .order_by("-credits", name)[:limit]
    )
    return [SpendingShare(*row) for row in rows]
