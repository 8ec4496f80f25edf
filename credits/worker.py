"""The worker: runs the apps' jobs when they are due, in any number of processes at the same time.

A job is a generator of committed steps. It skips rows that another process has locked, so jobs that
recur every few seconds run in every process and share the work. A job that calls another service
runs in a thread of its own, so a slow service delays no other job. A nightly job is claimed once
per night by its row in `credits.job_runs`. Stopping waits for the current step only.

The database's clock decides whether a row is due, so a wrong clock on a host expires nothing early.

An app defines its jobs as `JOBS` in its module `jobs`.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib import import_module
from threading import Event, Thread

import structlog
from django.apps import apps
from django.db import DatabaseError, close_old_connections, connection
from django.db.models import Q
from django.utils.module_loading import module_has_submodule

from credits.due_rows import FAILED
from credits.models import JobRun

LONGEST_NIGHTLY = timedelta(hours=3)
PAUSE_AFTER_FAILURE = timedelta(hours=1)
DIFFERENCES_KEPT = 100

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A recurring task.

    `run(now)` yields a word for the outcome of each step after the step is committed. A step with
    the word `failed` makes the run count as failed. With a `limit`, `run(now=…, limit=…)` settles
    at most that number of rows, so that one job does not delay the others. `every` is the interval
    between two runs. A job with `at_hour` (UTC) runs once per night, and `every` is how often the
    worker checks for it. `next_due` returns when the oldest row is or will be due, for the metrics.
    A job that waits for another service has `calls_out`.
    """

    name: str
    run: Callable[..., Iterable[str]]
    limit: int | None = None
    every: timedelta = timedelta(minutes=1)
    at_hour: int | None = None
    next_due: Callable[[datetime], datetime | None] | None = None
    calls_out: bool = False

    def steps(self, now: datetime) -> Iterable[str]:
        """Run the job and yield the outcome of each step."""
        if self.limit is None:
            return self.run(now)
        return self.run(now=now, limit=self.limit)


@cache
def jobs() -> dict[str, Job]:
    """Return the jobs of all apps by name."""
    modules = [
        import_module(f"{config.name}.jobs")
        for config in apps.get_app_configs()
        if config.module and module_has_submodule(config.module, "jobs")
    ]
    return {job.name: job for module in modules for job in module.JOBS}


def now() -> datetime:
    """Return the current time of the database's clock, in UTC."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment.astimezone(UTC)


def work(
    stop: Event,
    *,
    clock: Callable[[], datetime] = now,
    pace: Callable[[], float] = time.monotonic,
) -> None:
    """Run the due jobs until `stop` is set. A failed job is logged and retried later.

    `clock` returns the time by which rows are due. `pace` is a monotonic clock in seconds, which
    measures the intervals between runs.
    """
    # A service that does not answer must not delay the jobs that need only the database.
    lanes = [[job] for job in jobs().values() if job.calls_out]
    threads = [Thread(target=_work, args=(lane, stop, clock, pace), daemon=True) for lane in lanes]
    for thread in threads:
        thread.start()
    _work([job for job in jobs().values() if not job.calls_out], stop, clock, pace)
    stop.wait()
    for thread in threads:
        thread.join()


def work_once(stop: Event, *, clock: Callable[[], datetime] = now) -> bool:
    """Run each due job once; return whether all succeeded. Without the database, run none."""
    try:
        clock()
    except DatabaseError:
        # Otherwise each job would wait for a connection in turn, for minutes together.
        logger.exception("jobs_not_run")
        return False
    results = [_attempt(job, clock, stop) for job in jobs().values() if not stop.is_set()]
    return all(results)


def run(job: Job, *, now: datetime, stop: Event | None = None) -> Counter[str]:
    """Run a job, record the result, and return the number of steps by outcome.

    A run with failed rows is recorded as failed. A command may run its own job under the name of a
    nightly one. The result is then recorded under that name, and the nightly run and its claim are
    not changed.
    """
    outcomes: Counter[str] = Counter()
    try:
        for outcome in job.steps(now):
            outcomes[outcome] += 1
            if stop and stop.is_set():
                _release(job)
                return outcomes
    except Exception as error:
        with suppress(DatabaseError):  # the database itself may be the cause
            _record_failure(job, now, outcomes, error)
        raise
    if failed := outcomes[FAILED]:
        _record_failure(job, now, outcomes, f"{failed} of {outcomes.total()} steps failed")
    else:
        _record_success(job, now, outcomes)
    return outcomes


def _work(
    lane: list[Job], stop: Event, clock: Callable[[], datetime], pace: Callable[[], float]
) -> None:
    """Run the jobs of one thread in turn until `stop` is set."""
    next_at = {job.name: pace() for job in lane}
    while lane and not stop.is_set():
        for job in lane:
            if next_at[job.name] <= pace() and not stop.is_set():
                close_old_connections()  # replaces a broken connection, as between requests
                _attempt(job, clock, stop)
                # From the end of the run, so that a slow job does not run without a pause.
                next_at[job.name] = pace() + job.every.total_seconds()
        connection.close()  # to the pool, for the other threads
        stop.wait(max(0.0, min(next_at.values()) - pace()))


def _attempt(job: Job, clock: Callable[[], datetime], stop: Event) -> bool:
    # The clock is read within the try block, because it asks the database.
    outcomes: Counter[str] = Counter()
    try:
        now = clock()
        if not _is_nightly(job) or _claim(job, now):
            outcomes = run(job, now=now, stop=stop)
            if outcomes:
                logger.info("job_done", job=job.name, **outcomes)
    except Exception:  # one job's defect must not stop the others
        logger.exception("job_failed", job=job.name)
        return False
    return not outcomes[FAILED]


def _is_nightly(job: Job) -> bool:
    return job.at_hour is not None


def _night(job: Job, now: datetime) -> date:
    # A night lasts until the same hour of the next day, so a late run after midnight still belongs
    # to it.
    return (now - timedelta(hours=job.at_hour or 0)).date()


def _claim(job: Job, now: datetime) -> bool:
    """Claim tonight's run and return True, unless it is done or another process has claimed it.

    A night or a claim in the future was recorded while a clock was wrong and is ignored.
    """
    # One conditional UPDATE claims the night: of several processes, only one changes the row. The
    # claim ends by itself, so that a killed process does not block the job.
    JobRun.objects.bulk_create([JobRun(name=job.name)], ignore_conflicts=True)
    tonight = _night(job, now)
    not_done = Q(night=None) | Q(night__lt=tonight) | Q(night__gt=tonight + timedelta(days=1))
    longest = now + LONGEST_NIGHTLY
    unclaimed = Q(claimed_until=None) | Q(claimed_until__lte=now) | Q(claimed_until__gt=longest)
    return bool(
        JobRun.objects.filter(not_done, unclaimed, pk=job.name).update(claimed_until=longest)
    )


def _release(job: Job) -> None:
    JobRun.objects.filter(pk=job.name).update(claimed_until=None)


def _record_success(job: Job, now: datetime, outcomes: Counter[str]) -> None:
    row = JobRun(
        name=job.name,
        started_at=now,
        succeeded_at=now,
        result=dict(outcomes),
        night=_night(job, now) if _is_nightly(job) else None,
    )
    _record(row, "succeeded_at", *(("night", "claimed_until") if _is_nightly(job) else ()))


def _record_failure(
    job: Job, now: datetime, outcomes: Counter[str], error: Exception | str
) -> None:
    text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    row = JobRun(
        name=job.name,
        started_at=now,
        failed_at=now,
        result=dict(outcomes),
        error=text[:500],
        # Only a reconciliation's error has them.
        differences=list(getattr(error, "differences", ()))[:DIFFERENCES_KEPT],
        # The claim of a failed run stays for a while and so delays the retry.
        claimed_until=now + PAUSE_AFTER_FAILURE if _is_nightly(job) else None,
    )
    _record(row, "failed_at", *(("claimed_until",) if _is_nightly(job) else ()))


def _record(row: JobRun, *fields: str) -> None:
    # An upsert: a command may run a job that has no row yet.
    JobRun.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["started_at", "result", "error", "differences", *fields],
    )
