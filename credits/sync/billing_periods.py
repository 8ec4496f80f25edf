"""Billing periods of Cloud Sync: months without drift (31 Jan, 28 Feb, 31 Mar). Times are UTC."""

from calendar import monthrange
from datetime import datetime

from credits.models import SyncSubscription

MONTHS = {
    SyncSubscription.Interval.MONTHLY: 1,
    SyncSubscription.Interval.QUARTERLY: 3,
    SyncSubscription.Interval.YEARLY: 12,
}


def months(interval: str) -> int:
    """Return the length of a period of `interval`, in months."""
    return MONTHS[SyncSubscription.Interval(interval)]


def end(start: datetime, interval: str, *, anchor_day: int) -> datetime:
    """Return the end of the period from `start`: the anchor day, or the last day of the month."""
    years, month = divmod(start.month - 1 + months(interval), 12)
    year, month = start.year + years, month + 1
    # The anchor day is used again each time. Otherwise a subscription of the 31st would stay on the
    # 28th after February.
    return start.replace(year=year, month=month, day=min(anchor_day, monthrange(year, month)[1]))


def current_start(due: datetime, interval: str, *, anchor_day: int, now: datetime) -> datetime:
    """Return the start of the period that contains `now`, in the series of periods from `due`.

    An overdue subscription is charged for the current period only, not for the missed ones
    (docs/decisions/0030-overdue-renewals.md).
    """
    start = due
    while (following := end(start, interval, anchor_day=anchor_day)) <= now:
        start = following
    return start
