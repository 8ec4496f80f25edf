"""A clock that once was ahead does not stop the service until that date."""

from datetime import UTC, date, datetime, timedelta
from threading import Event

import pytest
from django.db import connection

from credits import worker
from credits.models import DailyRevenue, JobRun, OutboxMessage
from credits.outbox import outbox
from credits.reporting import daily_totals
from credits.worker import Job
from gifts import throttle
from gifts.codes import GiftUnknown
from gifts.models import GiftMisses
from gifts.throttle import Attempt, TooManyMisses

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 23, 3, 30, tzinfo=UTC)
AHEAD = datetime(2028, 1, 1, tzinfo=UTC)


def nightly(runs: list[datetime]) -> Job:
    def run(now: datetime) -> list[str]:
        runs.append(now)
        return ["done"]

    return Job("nightly", run, at_hour=3)


def attempt(job: Job, now: datetime) -> bool:
    return worker._attempt(job, lambda: now, Event())


def test_a_night_and_a_claim_of_the_future_do_not_count() -> None:
    runs: list[datetime] = []
    JobRun.objects.create(
        name="nightly", night=AHEAD.date(), claimed_until=AHEAD, succeeded_at=AHEAD
    )

    for minutes in (0, 1, 24 * 60):
        attempt(nightly(runs), NOW + timedelta(minutes=minutes))

    assert runs == [NOW, NOW + timedelta(days=1)]
    run = JobRun.objects.get()
    assert (run.night, run.succeeded_at) == (date(2026, 11, 24), NOW + timedelta(days=1))
    assert run.claimed_until is None


def test_a_claim_of_now_still_counts() -> None:
    runs: list[datetime] = []
    JobRun.objects.create(name="nightly", claimed_until=NOW + worker.LONGEST_NIGHTLY)

    attempt(nightly(runs), NOW)

    assert runs == []


def test_the_worker_tells_the_time_by_the_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        before = cursor.fetchone()[0]
        told = worker.now()
        cursor.execute("SELECT clock_timestamp()")
        after = cursor.fetchone()[0]

    assert before <= told <= after
    assert told.tzinfo is UTC


def test_a_message_due_in_years_is_delivered_now() -> None:
    for key, due in (("ahead", AHEAD), ("paused", NOW + outbox.LONGEST_PAUSE), ("due", NOW)):
        outbox.tell("alice", {}, key=key, now=due)

    claimed = [outbox._claim(NOW), outbox._claim(NOW), outbox._claim(NOW)]

    assert [message and message.key for message in claimed] == ["due", "ahead", None]
    assert OutboxMessage.objects.get(key="ahead").due_at == NOW + outbox.FIRST_PAUSE


def test_days_summed_for_the_future_do_not_hide_yesterday() -> None:
    DailyRevenue.objects.create(date=AHEAD.date())
    DailyRevenue.objects.create(date=NOW.date())

    summed = [day for day, _ in daily_totals.sum_due(now=NOW)]

    assert summed == [NOW.date() - timedelta(days=1), NOW.date()]


def miss(now: datetime) -> None:
    with (
        pytest.raises(GiftUnknown),
        throttle.counting(GiftUnknown, text="AAAAAAAAAA", guesser=Attempt("192.0.2.1"), now=now),
    ):
        raise GiftUnknown


def test_misses_counted_in_the_future_block_nobody() -> None:
    GiftMisses.objects.create(bucket="address:192.0.2.1", misses=999, since=AHEAD)

    miss(NOW)

    counted = GiftMisses.objects.get()
    assert (counted.misses, counted.since) == (1, NOW)


def test_misses_counted_by_a_host_that_is_a_little_ahead_do_count() -> None:
    GiftMisses.objects.create(
        bucket="address:192.0.2.1", misses=999, since=NOW + timedelta(seconds=5)
    )

    with (
        pytest.raises(TooManyMisses),
        throttle.counting(GiftUnknown, text="AAAAAAAAAA", guesser=Attempt("192.0.2.1"), now=NOW),
    ):
        pass


def test_misses_counted_in_the_future_are_forgotten() -> None:
    GiftMisses.objects.create(bucket="address:192.0.2.1", misses=1, since=AHEAD)
    GiftMisses.objects.create(bucket="address:192.0.2.2", misses=1, since=NOW)

    throttle.forget(NOW)

    assert GiftMisses.objects.get().bucket == "address:192.0.2.2"
