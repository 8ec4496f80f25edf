"""Checks of the whole ledger, batch by batch: everything, or what changed since the last one.

A full check reads every entry. A check of changes reads the entries that came after each user's
last verified one, so it cannot see that an older entry was altered: that takes the full check,
which is due every week. Both mark each user whose books are clean in `credits.checked_balances`.
An interrupted full check is resumed by these marks: users that it has marked are not read again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F
from django.db.models.functions import Greatest, Now

from credits.ledger import books
from credits.ledger.books import Discrepancy
from credits.ledger.db_functions import server_cursor
from credits.models import LedgerCheck

FULL_CHECK_EVERY = timedelta(days=7)
# A nightly run a few minutes earlier than last week's is a week later all the same.
TOLERANCE = timedelta(hours=12)
USERS_PER_BATCH = 1_000
# A batch is one statement, and a statement shall take seconds, however many entries a user has.
ENTRIES_PER_BATCH = 100_000


@dataclass(frozen=True, slots=True)
class Scope:
    """What a check reads: everything, or with `changes` what came after the last clean check.

    `full` is the row of a full check.
    """

    full: LedgerCheck | None = None

    @property
    def changes(self) -> bool:
        """Tell whether only changes are read."""
        return self.full is None


@dataclass(frozen=True, slots=True)
class Work:
    """What a check has to read, and how many users it need not read again."""

    users: int
    entries: int
    verified: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Users that were checked, how many of their entries were read, and what is wrong."""

    users: int
    entries: int
    discrepancies: list[Discrepancy]


# Which balances need not be read again, compared with their marks `c`.
_VERIFIED = {
    True: """(b.version, b.last_number, b.posted, b.held, b.total_earned, b.total_spent)
        = (c.version, c.last_number, c.posted, c.held, c.total_earned, c.total_spent)""",
    False: "c.full_check = %(full_check)s",
}
# The mark of each balance is found by one step in the primary key, whatever the statistics say.
_DUE = """
    FROM credits.balances b LEFT JOIN LATERAL (
        SELECT * FROM credits.checked_balances WHERE user_id = b.user_id OFFSET 0
    ) c ON true
"""
_ENTRIES = {True: "b.last_number - coalesce(c.last_number, 0)", False: "b.last_number"}


def full_check(*, now: datetime) -> Scope:
    """Begin a full check."""
    return Scope(LedgerCheck.objects.create(started_at=now))


def interrupted() -> Scope | None:
    """Return the last full check if it did not finish."""
    last = LedgerCheck.objects.order_by("started_at", "pk").last()
    return Scope(last) if last and last.finished_at is None else None


def due(*, now: datetime) -> Scope:
    """Return what the nightly check has to read: changes, or once a week everything.

    A full check that was interrupted is resumed.
    """
    if scope := interrupted():
        return scope
    last = LedgerCheck.objects.order_by("started_at", "pk").last()
    if last is None or now - last.started_at >= FULL_CHECK_EVERY - TOLERANCE:
        return full_check(now=now)
    return Scope()


def work(scope: Scope) -> Work:
    """Count what `scope` has to read."""
    verified = f"coalesce({_VERIFIED[scope.changes]}, false)"
    with server_cursor() as cursor:
        cursor.execute(
            f"""SELECT count(*) FILTER (WHERE NOT {verified}),
                       coalesce(sum({_ENTRIES[scope.changes]}) FILTER (WHERE NOT {verified}), 0),
                       count(*) FILTER (WHERE {verified}) {_DUE}""",
            _values(scope),
        )
        row: Any = cursor.fetchone()
    return Work(int(row[0]), max(int(row[1]), 0), int(row[2]))


def check(scope: Scope, *, batch_size: int = USERS_PER_BATCH) -> Iterator[Batch]:
    """Check what `scope` has to read, batch by batch, and mark what is clean.

    Memory does not grow with the ledger. Each batch is seen in one snapshot, so concurrent
    movements are not discrepancies. A database that is read-only, such as a standby, is checked
    without marks.
    """
    marks = _writable()
    wrong = 0
    for users, entries in _batches(scope, batch_size):
        found = (
            books.check_and_mark(users, full_check=scope.full.pk if scope.full else None)
            if marks
            else books.check(users)
        )
        wrong += len(found)
        yield Batch(len(users), entries, found)
    found = books.orphans()
    wrong += len(found)
    if marks:
        _finish(scope, wrong)
    yield Batch(0, 0, found)


def _batches(scope: Scope, size: int) -> Iterator[tuple[list[str], int]]:
    """Yield users and how many entries they have to be checked for."""
    after = ""
    while rows := _next(scope, after, size):
        read = 0
        batch = []
        for user_id, entries in rows:
            batch.append(user_id)
            read += max(entries, 0)
            if read >= ENTRIES_PER_BATCH:
                break
        yield batch, read
        after = batch[-1]


def _next(scope: Scope, after: str, size: int) -> list[tuple[str, int]]:
    with server_cursor() as cursor:
        cursor.execute(
            f"""SELECT b.user_id, {_ENTRIES[scope.changes]} {_DUE}
                WHERE b.user_id > %(after)s AND NOT coalesce({_VERIFIED[scope.changes]}, false)
                ORDER BY b.user_id LIMIT %(size)s""",
            {**_values(scope), "after": after, "size": size},
        )
        return [(user_id, int(entries)) for user_id, entries in cursor.fetchall()]


def _values(scope: Scope) -> dict[str, Any]:
    return {"full_check": scope.full.pk} if scope.full else {}


def _finish(scope: Scope, wrong: int) -> None:
    """Delete the marks of users who were erased meanwhile; record the end of a full check."""
    with server_cursor() as cursor:
        cursor.execute(
            """DELETE FROM credits.checked_balances c
               WHERE NOT EXISTS (SELECT FROM credits.balances b WHERE b.user_id = c.user_id)"""
        )
    if scope.full:
        LedgerCheck.objects.filter(pk=scope.full.pk).update(
            finished_at=Greatest(Now(), F("started_at")), discrepancies=wrong
        )


def _writable() -> bool:
    with server_cursor() as cursor:
        cursor.execute("SELECT current_setting('transaction_read_only') = 'off'")
        row: Any = cursor.fetchone()
    return bool(row[0])
