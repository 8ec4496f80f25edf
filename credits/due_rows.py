"""Due rows: each one is locked, settled and committed in its own transaction.

A run first settles all rows that are not locked. Then it waits a short time for the locked ones:
for the rows themselves and for the balances that they move. A row that stays locked is skipped and
is due again in the next run. A row that raises is rolled back, logged and postponed, and the run
continues with the next row.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

import structlog
from django.db import DatabaseError, connection, models, transaction
from django.db.models import Min, Q, QuerySet
from psycopg.errors import DeadlockDetected, LockNotAvailable

from credits.models import PostponedRow

FAILED = "failed"
SKIPPED = "skipped"

# Only keys are listed. Each row is read again under its lock.
LISTED_AT_ONCE = 500
CHANGED_AT_ONCE = 1_000
FIRST_PAUSE = timedelta(minutes=1)
# Short enough that a row is settled soon after an operator has removed the cause of its failure.
LONGEST_PAUSE = timedelta(minutes=15)
# The second round of a run waits this long for one lock, and for all locks together.
LOCK_PATIENCE = timedelta(milliseconds=250)
RUN_PATIENCE = timedelta(seconds=5)
# The first round does not wait for locks. `lock_timeout = 0` would mean no limit.
NO_PATIENCE = timedelta(milliseconds=10)

Row = TypeVar("Row", bound=models.Model)
logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class DueWork(Generic[Row]):
    """The rows of a job and how to settle them.

    `due` selects the due rows; they are settled in the ascending order of the field `moment`.
    `settle` receives each row locked and returns a word for the outcome. It may lock the balance of
    the user in the field `owner`. `on_failure` receives the key and the error of a row that raised.
    `lock` locks a row of a table that the service may not change itself, and returns whether it
    did; it receives the owner, the key and whether to wait.
    """

    job: str
    due: QuerySet[Row]
    moment: str
    settle: Callable[[Row], str]
    owner: str | None = "user_id"
    on_failure: Callable[[Any, Exception], None] = lambda key, error: None
    lock: Callable[[str, Any, bool], bool] | None = None


class Settled(NamedTuple):
    """The key of a row, the word for its outcome, and the error if the row failed."""

    key: Any
    outcome: str
    error: Exception | None = None

    @property
    def locked(self) -> bool:
        """Return whether the row was skipped because it stayed locked."""
        return self.outcome == SKIPPED


class _DueRow(NamedTuple):
    moment: Any
    key: Any
    user_id: str


class _Locked(Exception):
    """Another transaction has locked the row or its balance."""


def settle_each(work: DueWork[Row], *, now: datetime, limit: int) -> Iterator[Settled]:
    """Settle up to `limit` due rows and yield each outcome. Rows that are not locked come first.

    Postponed rows are left out until they are due again. Any number of processes may run this at
    the same time. Raises DatabaseError while the database is unavailable.
    """
    run = _Run(work, now)
    rows = islice(run.waiting_rows(), limit)
    locked: list[_DueRow] = []
    for row in rows:
        yield from run.settle_or_keep(row, locked, NO_PATIENCE)
    skipped: list[_DueRow] = []
    run.wait_for_locks()
    for row in locked:
        yield from run.settle_or_keep(row, skipped, run.patience())
    for row in skipped:
        yield Settled(row.key, SKIPPED)
    if skipped:
        some = [str(row.key) for row in skipped[:10]]
        logger.warning("rows_skipped", job=work.job, count=len(skipped), rows=some)


def retry_postponed(job: str, *, now: datetime) -> None:
    """Make all postponed rows of a job due now, for a run that an operator starts."""
    PostponedRow.objects.filter(job=job).update(due_at=now)


def next_due(job: str, rows: QuerySet[Row], moment: str, *, now: datetime) -> datetime | None:
    """Return the earliest `moment` of the rows, without the postponed ones; None without a row."""
    key: Any = rows.model._meta.pk  # noqa: SLF001
    postponed = [key.to_python(text) for text in _postponed_keys(job, now)]
    first: datetime | None = rows.exclude(pk__in=postponed).aggregate(first=Min(moment))["first"]
    return first


def change_free(rows: QuerySet[Row], change: Callable[[QuerySet[Row]], int]) -> Iterator[int]:
    """Apply `change` to the rows in batches, each in its own transaction; yield each batch's count.

    `change` must remove a row from the set that `rows` selects, otherwise the loop never ends.
    Locked rows are skipped.
    """
    while changed := _change_batch(rows, change):
        yield changed


def is_locked(error: Exception) -> bool:
    """Return whether the error is a lock timeout or a deadlock."""
    return isinstance(error.__cause__, LockNotAvailable | DeadlockDetected)


def wait_at_most(patience: timedelta) -> None:
    """Set `lock_timeout` to `patience` for the rest of the current transaction."""
    milliseconds = int(patience.total_seconds() * 1000)
    with connection.cursor() as cursor:
        # `true` limits the setting to the transaction, which also works behind a pooler in
        # transaction mode.
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{milliseconds}ms"])


@transaction.atomic
def _change_batch(rows: QuerySet[Row], change: Callable[[QuerySet[Row]], int]) -> int:
    free = rows.select_for_update(skip_locked=True).values_list("pk", flat=True)
    keys = list(free[:CHANGED_AT_ONCE])
    return change(rows.model._default_manager.filter(pk__in=keys)) if keys else 0  # noqa: SLF001


def _postponed_keys(job: str, now: datetime) -> QuerySet[PostponedRow, str]:
    # A time later than the longest pause was written while a clock was wrong. It does not count.
    known = PostponedRow.objects.filter(job=job, due_at__gt=now, due_at__lte=now + LONGEST_PAUSE)
    return known.values_list("row_id", flat=True)


@dataclass
class _Run(Generic[Row]):
    work: DueWork[Row]
    now: datetime
    busy_users: set[str] = field(default_factory=set)
    waited: float = 0.0

    def __post_init__(self) -> None:
        known = PostponedRow.objects.filter(job=self.work.job)
        # Due for more than a day but not retried: something else has settled the row.
        known.filter(due_at__lt=self.now - timedelta(days=1)).delete()
        self.attempts = dict(known.values_list("row_id", "attempts"))
        self.not_yet = set(_postponed_keys(self.work.job, self.now))

    def waiting_rows(self) -> Iterator[_DueRow]:
        """Yield the due rows that are not postponed, each once."""
        found: list[_DueRow] = self._after(None)
        while found:
            yield from (row for row in found if str(row.key) not in self.not_yet)
            found = self._after(found[-1])

    def _after(self, last: _DueRow | None) -> list[_DueRow]:
        moment, owner = self.work.moment, self.work.owner
        due = self.work.due
        if last:
            # By position instead of OFFSET: settled rows leave the list, and an offset would skip
            # others.
            later = Q(**{f"{moment}__gt": last.moment})
            due = due.filter(later | Q(**{moment: last.moment, "pk__gt": last.key}))
        listed = due.order_by(moment, "pk").values_list(moment, "pk", *([owner] if owner else []))
        return [_DueRow(row[0], row[1], row[2] if owner else "") for row in listed[:LISTED_AT_ONCE]]

    def wait_for_locks(self) -> None:
        """Start the second round, which waits for locks and tries every user again."""
        self.busy_users.clear()
        self.waited = 0.0

    def patience(self) -> timedelta:
        """Return how long to wait for the next lock."""
        return LOCK_PATIENCE if self.waited < RUN_PATIENCE.total_seconds() else NO_PATIENCE

    def settle_or_keep(
        self, row: _DueRow, locked: list[_DueRow], patience: timedelta
    ) -> Iterator[Settled]:
        """Settle the row and yield its outcome, or append the row to `locked` if it is locked."""
        # The user's balance is locked, so each further row of this user would wait for the same
        # lock.
        if row.user_id in self.busy_users:
            locked.append(row)
            return
        started = time.monotonic()
        try:
            outcome = self._settle(row, patience)
        except _Locked:
            self.waited += time.monotonic() - started
            locked.append(row)
        except Exception as error:  # noqa: BLE001  # one bad row must not stop the others
            self._postpone(row, error)
            yield Settled(row.key, FAILED, error)
        else:
            if outcome:
                yield Settled(row.key, outcome)

    def _settle(self, row: _DueRow, patience: timedelta) -> str | None:
        """Settle the row and return its outcome; None if it is no longer due. Raises _Locked."""
        try:
            with transaction.atomic():
                wait_at_most(patience)
                found = self._lock(row, wait=patience > NO_PATIENCE)
                outcome = self.work.settle(found) if found else None
                # In the same transaction: a row that is settled has no failures, and one that is
                # rolled back keeps them.
                self._forget_failures(row)
        except DatabaseError as error:
            if not is_locked(error):
                raise
            # The lock may be that of the balance, which the user's other rows need too.
            if row.user_id:
                self.busy_users.add(row.user_id)
            raise _Locked from error
        return outcome

    def _lock(self, row: _DueRow, *, wait: bool) -> Row | None:
        # The conditions apply again: another process may have settled the row since it was listed.
        due = self.work.due.filter(pk=row.key)
        if self.work.owner:
            due = due.filter(**{self.work.owner: row.user_id})
        if self.work.lock:
            found = due.first() if self.work.lock(row.user_id, row.key, wait) else None
        else:
            found = due.select_for_update(skip_locked=not wait).first()
        if found is None and not wait:
            raise _Locked
        return found

    def _forget_failures(self, row: _DueRow) -> None:
        if str(row.key) in self.attempts:
            _failures(self.work.job, row).delete()

    def _postpone(self, row: _DueRow, error: Exception) -> None:
        """Record the error and the time of the next try. Raises DatabaseError if it cannot."""
        attempts = self.attempts.get(str(row.key), 0) + 1
        # The exponent is limited, because a timedelta overflows.
        pause = min(FIRST_PAUSE * 2 ** min(attempts - 1, 10), LONGEST_PAUSE)
        logger.error(
            "row_failed", job=self.work.job, row=str(row.key), attempts=attempts, exc_info=error
        )
        self.work.on_failure(row.key, error)
        failed = PostponedRow(
            job=self.work.job,
            row_id=str(row.key),
            user_id=row.user_id,
            attempts=attempts,
            due_at=self.now + pause,
            error=f"{type(error).__name__}: {error}"[:500],
        )
        PostponedRow.objects.bulk_create(
            [failed],
            update_conflicts=True,
            unique_fields=["user_id", "job", "row_id"],
            update_fields=["attempts", "due_at", "error"],
        )


def _failures(job: str, row: _DueRow) -> QuerySet[PostponedRow]:
    return PostponedRow.objects.filter(user_id=row.user_id, job=job, row_id=str(row.key))
