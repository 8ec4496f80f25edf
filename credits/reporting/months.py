"""Months of reports and statements, in UTC."""

from datetime import UTC, date, datetime

from credits.errors import DomainError


class MonthNotBegun(DomainError):
    """The month is in the future."""

    code = "month_not_begun"
    field = "month"
    message = "This month has not started yet"


def span_of(month: date, *, now: datetime) -> tuple[datetime, datetime]:
    """Return the start of the month of this day, and of the next month. Raises MonthNotBegun."""
    start = datetime(month.year, month.month, 1, tzinfo=UTC)
    if now < start:
        raise MonthNotBegun
    return start, datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)
