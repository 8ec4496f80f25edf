"""Billing periods keep the anchor day, also after a shorter month."""

from calendar import monthrange
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credits.sync import billing_periods


def utc(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("interval", "ends"),
    [
        ("monthly", [(2026, 1, 31), (2026, 2, 28), (2026, 3, 31), (2026, 4, 30), (2026, 5, 31)]),
        ("monthly", [(2028, 1, 31), (2028, 2, 29), (2028, 3, 31)]),
        ("monthly", [(2026, 8, 31), (2026, 9, 30), (2026, 10, 31)]),
        ("monthly", [(2026, 12, 15), (2027, 1, 15)]),
        ("quarterly", [(2026, 11, 30), (2027, 2, 28), (2027, 5, 30), (2027, 8, 30)]),
        ("yearly", [(2028, 2, 29), (2029, 2, 28), (2030, 2, 28), (2031, 2, 28), (2032, 2, 29)]),
    ],
)
def test_fault_7_month_ends_do_not_drift(interval: str, ends: list[tuple[int, int, int]]) -> None:
    start, *expected = [utc(*day) for day in ends]

    found = []
    moment = start
    for _ in expected:
        moment = billing_periods.end(moment, interval, anchor_day=start.day)
        found.append(moment)

    assert found == expected


@given(
    days=st.integers(0, 7000),
    interval=st.sampled_from(["monthly", "quarterly", "yearly"]),
    late=st.timedeltas(timedelta(0), timedelta(days=1500)),
)
def test_the_current_period_holds_the_moment_and_ends_on_the_anchor_day(
    days: int, interval: str, late: timedelta
) -> None:
    start = utc(2020, 1, 1) + timedelta(days=days)
    now = start + late

    begins = billing_periods.current_start(start, interval, anchor_day=start.day, now=now)
    ends = billing_periods.end(begins, interval, anchor_day=start.day)

    assert begins <= now < ends
    assert ends.day == min(start.day, monthrange(ends.year, ends.month)[1])
    assert ends.time() == start.time()
