"""The worker runs due jobs, nightly jobs once, and continues after a failed job."""

import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from threading import Event

import pytest
from django.core.management import call_command, get_commands, load_command_class
from django.db import DatabaseError

from credits import worker
from credits.jobs import check_ledger
from credits.ledger.books import BooksDoNotClose
from credits.management.job_command import JobCommand, LimitedJobCommand
from credits.models import Balance, JobRun, OutboxMessage, Reservation, SyncSubscription
from credits.outbox import outbox
from credits.worker import Job
from gifts.models import GiftCode
from tests.api import Caller, at_once
from tests.factories import due_subscribers, gift, give, hold
from tests.owner import as_owner
from tests.stripe import Stripe

pytestmark = pytest.mark.django_db
EVENING = datetime(2026, 11, 22, 22, tzinfo=UTC)
NIGHT = datetime(2026, 11, 23, 3, tzinfo=UTC)


class Steps:
    """A job that counts its runs."""

    def __init__(self, *, steps: int = 1, fails: bool = False) -> None:
        self.steps = steps
        self.fails = fails
        self.runs: list[datetime] = []
        self.done = 0

    def __call__(self, now: datetime) -> Iterator[str]:
        self.runs.append(now)
        for _ in range(self.steps):
            self.done += 1
            yield "done"
        if self.fails:
            raise ZeroDivisionError("a defect")


Use = Callable[..., None]


@pytest.fixture
def use_jobs(monkeypatch: pytest.MonkeyPatch) -> Use:
    def use(*jobs: Job) -> None:
        monkeypatch.setattr(worker, "jobs", lambda: {job.name: job for job in jobs})

    return use


def once(now: datetime, stop: Event | None = None) -> bool:
    return worker.work_once(stop or Event(), clock=lambda: now)


def test_one_round_does_all_that_is_due(stripe: Stripe) -> None:
    now = datetime.now(UTC)
    due_subscribers(2, since=now - timedelta(days=1))
    give("alice", 10)
    held = hold("alice", 4)
    with as_owner():
        Reservation.objects.update(created_at=now - timedelta(days=2), expires_at=now)
    outbox.tell("alice", {}, key="k", now=now)
    given = gift("alice", 3, at=now - timedelta(days=2), days=1)

    went_well = once(now)

    assert went_well
    assert Reservation.objects.get(pk=held.pk).status == "expired"
    assert Balance.objects.get(pk="alice").available == 10
    assert GiftCode.objects.get(pk=given.pk).status == "expired"
    assert not SyncSubscription.objects.filter(paid_until__lte=now).exists()
    assert OutboxMessage.objects.get().status == "pending"  # mana-notify is not configured here
    results = {run.name: run.result for run in JobRun.objects.filter(succeeded_at=now)}
    assert results == {
        "expire_reservations": {"expired": 1},
        "expire_credits": {},
        "renew_subscriptions": {"charged": 2},
        "tell_low_balances": {},
        "tell_expiring_credits": {},
        "top_up": {},
        "deliver_outbox": {},
        "deliver_events": {},
        "clean_up_events": {},
        "make_anchors": {"made": 1},
        "erase_people": {},
        "sum_days": {"summed": 1},
        "check_ledger": {"batches": 2},
        "clean_up_outbox": {},
        "clean_up_keys": {},
        "post_grant_campaigns": {},
        "make_gift_codes": {},
        "expire_gifts": {"expired": 1},
        "process_stripe_events": {},
        "reconcile_stripe": {},
        "empty_event_payloads": {},
    }


def test_without_the_database_only_one_wait_precedes_the_end_of_a_round(use_jobs: Use) -> None:
    waits: list[datetime] = []

    def away() -> datetime:
        waits.append(NIGHT)
        raise DatabaseError

    use_jobs(Job("one", Steps()), Job("two", Steps()))

    assert not worker.work_once(Event(), clock=away)
    assert len(waits) == 1


def test_every_job_is_a_command_of_its_own(stripe: Stripe) -> None:
    due_subscribers(1, since=datetime.now(UTC) - timedelta(days=1))
    outbox.tell("alice", {}, key="old", now=NIGHT)
    OutboxMessage.objects.update(
        status="delivered", delivered_at=datetime.now(UTC) - timedelta(days=31)
    )
    printed = {}
    for name in worker.jobs():
        out = StringIO()
        call_command(name, stdout=out)
        printed[name] = out.getvalue().splitlines()[-1]

    assert printed == {
        "expire_reservations": "expire_reservations: nothing was due.",
        "expire_credits": "expire_credits: nothing was due.",
        "renew_subscriptions": "renew_subscriptions: 1 charged.",
        "tell_low_balances": "tell_low_balances: nothing was due.",
        "tell_expiring_credits": "tell_expiring_credits: nothing was due.",
        "top_up": "top_up: nothing was due.",
        "deliver_outbox": "deliver_outbox: nothing was due.",
        "deliver_events": "deliver_events: nothing was due.",
        "clean_up_events": "clean_up_events: nothing was due.",
        "make_anchors": "make_anchors: 1 made.",
        "erase_people": "erase_people: nothing was due.",
        "sum_days": "sum_days: 1 summed.",
        "check_ledger": "The books close.",
        "clean_up_outbox": "clean_up_outbox: 1 deleted.",
        "clean_up_keys": "clean_up_keys: nothing was due.",
        "post_grant_campaigns": "post_grant_campaigns: nothing was due.",
        "make_gift_codes": "make_gift_codes: nothing was due.",
        "expire_gifts": "expire_gifts: nothing was due.",
        "process_stripe_events": "process_stripe_events: nothing was due.",
        "reconcile_stripe": "0 looked at, 0 applied, 0 unexplained.",
        "empty_event_payloads": "empty_event_payloads: nothing was due.",
    }


def test_a_nightly_job_runs_once_per_night(use_jobs: Use) -> None:
    steps = Steps()
    use_jobs(Job("nightly", steps, at_hour=3))
    moments = [
        EVENING,
        NIGHT - timedelta(seconds=1),
        NIGHT,
        NIGHT + timedelta(hours=20),
        NIGHT + timedelta(days=1),
    ]

    for now in moments:
        once(now)

    assert steps.runs == [EVENING, NIGHT, NIGHT + timedelta(days=1)]
    assert JobRun.objects.get().night == date(2026, 11, 24)


def test_of_many_workers_one_runs_the_nightly_job(committed: None, use_jobs: Use) -> None:
    steps = Steps()
    use_jobs(Job("nightly", steps, at_hour=3))

    at_once(8, lambda _: once(NIGHT))

    assert steps.runs == [NIGHT]


def test_a_nightly_job_that_fails_is_tried_again_after_an_hour(use_jobs: Use) -> None:
    steps = Steps(fails=True)
    use_jobs(Job("nightly", steps, at_hour=3))
    minutes = [0, 1, 59, 60]

    results = [once(NIGHT + timedelta(minutes=minute)) for minute in minutes]

    assert results == [False, True, True, False]
    assert steps.runs == [NIGHT, NIGHT + timedelta(minutes=60)]
    assert JobRun.objects.get().succeeded_at is None


def test_a_nightly_job_whose_process_died_is_taken_up_by_another(use_jobs: Use) -> None:
    steps = Steps()
    use_jobs(Job("nightly", steps, at_hour=3))
    JobRun.objects.create(name="nightly", claimed_until=NIGHT + timedelta(hours=3))

    once(NIGHT + timedelta(hours=2))
    once(NIGHT + timedelta(hours=3))

    assert steps.runs == [NIGHT + timedelta(hours=3)]


def test_a_nightly_job_that_was_stopped_is_taken_up_again(use_jobs: Use) -> None:
    steps = Steps(steps=5)
    use_jobs(Job("nightly", steps, at_hour=3))
    stop = Event()

    def stopping(now: datetime) -> Iterator[str]:
        for outcome in steps(now):
            stop.set()
            yield outcome

    worker.run(Job("nightly", stopping, at_hour=3), now=NIGHT, stop=stop)
    interrupted = steps.done
    once(NIGHT)

    assert interrupted == 1
    assert steps.done == 6
    assert JobRun.objects.get().result == {"done": 5}


def test_a_job_that_fails_is_on_record_and_does_not_stop_the_others(use_jobs: Use) -> None:
    broken, sound = Steps(steps=2, fails=True), Steps()
    use_jobs(Job("broken", broken), Job("sound", sound))

    went_well = once(NIGHT)

    assert not went_well
    assert sound.runs == [NIGHT]
    failure = JobRun.objects.get(pk="broken")
    assert (failure.failed_at, failure.succeeded_at) == (NIGHT, None)
    assert (failure.error, failure.result) == ("ZeroDivisionError: a defect", {"done": 2})
    broken.fails = False
    assert once(NIGHT + timedelta(minutes=1))
    assert JobRun.objects.get(pk="broken").error == ""


def test_the_worker_survives_an_unavailable_database(
    use_jobs: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_jobs(Job("broken", Steps(fails=True)))

    def away(*_: object, **__: object) -> None:
        raise DatabaseError

    monkeypatch.setattr(JobRun.objects, "bulk_create", away)

    assert once(NIGHT) is False


def test_a_worker_told_to_stop_ends_and_gives_the_signals_back(
    committed: None, use_jobs: Use
) -> None:
    def stopping(now: datetime) -> Iterator[str]:
        for signal_ in (signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), signal_)
            yield "signalled"

    before = signal.getsignal(signal.SIGTERM)
    use_jobs(Job("stopping", stopping))

    call_command("worker")

    assert signal.getsignal(signal.SIGTERM) is before
    assert not JobRun.objects.exists()


def test_once_says_by_its_exit_code_that_a_job_failed(use_jobs: Use) -> None:
    use_jobs(Job("broken", Steps(fails=True)))

    with pytest.raises(SystemExit) as exit_:
        call_command("worker", "--once")
    use_jobs(Job("sound", Steps()))
    call_command("worker", "--once")

    assert exit_.value.code == 1


def test_a_command_does_not_hide_a_failure(use_jobs: Use) -> None:
    use_jobs(Job("renew_subscriptions", Steps(fails=True)))

    with pytest.raises(ZeroDivisionError):
        call_command("renew_subscriptions")


def test_each_job_recurs_at_its_own_pace_until_stopped(committed: None, use_jobs: Use) -> None:
    quick, slow = Steps(), Steps()
    use_jobs(
        Job("quick", quick, every=timedelta(seconds=10)),
        Job("slow", slow, every=timedelta(seconds=25)),
    )
    stop = FakeTime(NIGHT, until=NIGHT + timedelta(seconds=60))

    worker.work(stop, clock=stop.clock, pace=lambda: stop.clock().timestamp())

    assert [(now - NIGHT).seconds for now in quick.runs] == [0, 10, 20, 30, 40, 50]
    assert [(now - NIGHT).seconds for now in slow.runs] == [0, 25, 50]


@pytest.mark.slow
def test_a_job_that_waits_for_another_service_delays_no_other(
    committed: None, use_jobs: Use
) -> None:
    stop, over, others = Event(), Event(), Steps()
    waiting: list[datetime] = []

    def wait(now: datetime) -> Iterator[str]:
        waiting.append(now)
        over.wait(60)
        yield "done"

    def count(now: datetime) -> Iterator[str]:
        yield from others(now)
        if len(others.runs) == 3:
            stop.set()
            over.set()

    use_jobs(
        Job("calls", wait, every=timedelta(seconds=0), calls_out=True),
        Job("counts", count, every=timedelta(seconds=0.05)),
    )

    worker.work(stop)

    assert (len(waiting), len(others.runs)) == (1, 3)


def test_the_jobs_that_call_other_services_have_threads_of_their_own() -> None:
    apart = {name for name, job in worker.jobs().items() if job.calls_out}

    assert apart == {
        "deliver_events",
        "deliver_outbox",
        "process_stripe_events",
        "reconcile_stripe",
        "top_up",
    }


class FakeTime(Event):
    """A stop event with its own clock. Waiting advances it, and it is set at `until`."""

    def __init__(self, start: datetime, *, until: datetime) -> None:
        super().__init__()
        self.now = start
        self.until = until

    def clock(self) -> datetime:
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timedelta(seconds=timeout or 0)
        if self.now >= self.until:
            self.set()
        return self.is_set()


def test_metrics_tell_the_last_success_and_the_age_of_what_is_due(anonymous: Caller) -> None:
    now = datetime.now(UTC)
    due_subscribers(1, since=now - timedelta(hours=1))
    worker.run(worker.jobs()["expire_reservations"], now=NIGHT)

    lines = anonymous.get("/metrics").content.decode().splitlines()

    names = ("mana_credits_job_last_success", "mana_credits_job_oldest")
    values = dict(line.rsplit(" ", 1) for line in lines if line.startswith(names))
    success = "mana_credits_job_last_success_timestamp_seconds"
    age = "mana_credits_job_oldest_due_age_seconds"
    assert float(values.pop(f'{age}{{name="renew_subscriptions"}}')) == pytest.approx(3600, abs=5)
    assert {name: float(value) for name, value in values.items()} == {
        f'{success}{{name="expire_reservations"}}': NIGHT.timestamp(),
        f'{age}{{name="expire_reservations"}}': 0,
        f'{age}{{name="expire_credits"}}': 0,
        f'{age}{{name="tell_low_balances"}}': 0,
        f'{age}{{name="tell_expiring_credits"}}': 0,
        f'{age}{{name="top_up"}}': 0,
        f'{age}{{name="deliver_outbox"}}': 0,
        f'{age}{{name="deliver_events"}}': 0,
        f'{age}{{name="erase_people"}}': 0,
        f'{age}{{name="post_grant_campaigns"}}': 0,
        f'{age}{{name="make_gift_codes"}}': 0,
        f'{age}{{name="expire_gifts"}}': 0,
        f'{age}{{name="process_stripe_events"}}': 0,
    }


def test_metrics_are_there_while_the_database_is_not(
    anonymous: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise DatabaseError

    monkeypatch.setattr(JobRun.objects, "all", away)

    answer = anonymous.get("/metrics")

    assert answer.status_code == 200
    assert b"mana_credits_request_duration_seconds" in answer.content
    assert b"mana_credits_job_" not in answer.content


@pytest.mark.breaks_the_books
def test_the_nightly_check_fails_when_the_books_do_not_close() -> None:
    give("alice", 10)
    with as_owner():
        Balance.objects.update(held=3)

    with pytest.raises(BooksDoNotClose, match="1 discrepancy"):
        list(check_ledger(NIGHT))


def test_a_job_with_a_limit_settles_at_most_that_number_of_rows() -> None:
    def settle(*, now: datetime, limit: int) -> Iterator[str]:
        yield from [f"due {now:%H}"] * limit

    outcomes = worker.run(Job("limited", settle, limit=3), now=NIGHT)

    assert outcomes == {"due 03": 3}


def test_each_command_of_a_job_names_a_job_of_the_worker() -> None:
    ours = {name: app for name, app in get_commands().items() if "django" not in str(app)}
    commands = [load_command_class(str(app), name) for name, app in ours.items()]
    of_jobs = [one for one in commands if isinstance(one, JobCommand)]

    limits = {one.job: worker.jobs()[one.job].limit for one in of_jobs}

    assert len(limits) == len(of_jobs) >= 14
    assert all(limits[one.job] for one in of_jobs if isinstance(one, LimitedJobCommand))
