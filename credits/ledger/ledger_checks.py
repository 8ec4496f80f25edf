"""Checks of the whole ledger in batches: full checks, and checks of the changes since the last one.

A full check reads every transaction. A check of changes reads only the transactions after each
user's last verified one, so it does not detect a change of an older transaction. For that, a full
check is due every week. Both mark each user without a discrepancy in `credits.checked_balances`,
and both compare the ledger with its newest anchors. An interrupted full check skips the users that
it has marked when it is resumed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F
from django.db.models.functions import Greatest, Now

from credits.ledger import anchors, books
from credits.ledger.books import Discrepancy
from credits.ledger.db_functions import server_cursor
from credits.models import LedgerCheck

FULL_CHECK_EVERY = timedelta(days=7)
# The nightly run may start some minutes earlier than a week ago; that still counts as a week.
TOLERANCE = timedelta(hours=12)
USERS_PER_BATCH = 1_000
# A batch is one statement. The limit keeps its duration within seconds.
ENTRIES_PER_BATCH = 100_000
# The newest anchor proves all history up to its day. The others say from which day on it differs.
ANCHORS_OF_A_FULL_CHECK = 31


@dataclass(frozen=True, slots=True)
class CheckScope:
    """The scope of a check: everything if `full` is the row of a full check, else the changes."""

    full: LedgerCheck | None = None

    @property
    def changes(self) -> bool:
        """Return whether only changes are read."""
        return self.full is None


@dataclass(frozen=True, slots=True)
class CheckWork:
    """The number of users and transactions that a check must read, and of users it can skip."""

    users: int
    entries: int
    verified: int


@dataclass(frozen=True, slots=True)
class CheckedBatch:
    """The number of users and transactions checked in a batch, and the discrepancies."""

    users: int
    entries: int
    discrepancies: list[Discrepancy]


# The conditions, for changes and for a full check, under which a balance `b` with the mark `c` is
# skipped.
_VERIFIED = {
    True: """(b.version, b.last_number, b.posted, b.held, b.total_earned, b.total_spent)
        = (c.version, c.last_number, c.posted, c.held, c.total_earned, c.total_spent)
        AND b.last_digest IS NOT DISTINCT FROM c.digest""",
    False: "c.full_check = %(full_check)s",
}
# OFFSET 0 makes PostgreSQL find each mark by primary key, independent of the statistics.
_DUE = """
    FROM credits.balances b LEFT JOIN LATERAL (
        SELECT * FROM credits.checked_balances WHERE user_id = b.user_id OFFSET 0
    ) c ON true
"""
_ENTRIES = {True: "b.last_number - coalesce(c.last_number, 0)", False: "b.last_number"}


def full_check(*, now: datetime) -> CheckScope:
    """Start a full check."""
    return CheckScope(LedgerCheck.objects.create(started_at=now))


def interrupted() -> CheckScope | None:
    """Return the last full check if it did not finish, else None."""
    last = LedgerCheck.objects.order_by("started_at", "pk").last()
    return CheckScope(last) if last and last.finished_at is None else None


def due(*, now: datetime) -> CheckScope:
    """Return the scope of the nightly check: the changes or, once a week, everything.

    An interrupted full check is resumed.
    """
    if scope := interrupted():
        return scope
    last = LedgerCheck.objects.order_by("started_at", "pk").last()
    if last is None or now - last.started_at >= FULL_CHECK_EVERY - TOLERANCE:
        return full_check(now=now)
    return CheckScope()


def work(scope: CheckScope) -> CheckWork:
    """Count the users and transactions that `scope` must read."""
    verified = f"coalesce({_VERIFIED[scope.changes]}, false)"
    with server_cursor() as cursor:
        cursor.execute(
            f"""SELECT count(*) FILTER (WHERE NOT {verified}),
                       coalesce(sum({_ENTRIES[scope.changes]}) FILTER (WHERE NOT {verified}), 0),
                       count(*) FILTER (WHERE {verified}) {_DUE}""",
            _values(scope),
        )
        row: Any = cursor.fetchone()
    return CheckWork(int(row[0]), max(int(row[1]), 0), int(row[2]))


def check(scope: CheckScope, *, batch_size: int = USERS_PER_BATCH) -> Iterator[CheckedBatch]:
    """Check the users in `scope` in batches and mark those without a discrepancy; yield each batch.

    Memory does not grow with the ledger. Each batch is read in one snapshot, so concurrent
    movements are not reported. A read-only database, such as a standby, is checked without marks.
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
        yield CheckedBatch(len(users), entries, found)
    newest = anchors.claims(last=1 if scope.changes else ANCHORS_OF_A_FULL_CHECK)
    found = [*books.orphans(), *anchors.check(newest)]
    wrong += len(found)
    if marks:
        _finish(scope, wrong)
    yield CheckedBatch(0, 0, found)


def _batches(scope: CheckScope, size: int) -> Iterator[tuple[list[str], int]]:
    """Yield batches of user ids, with the number of transactions to read for them."""
    after = ""
    while rows := _next(scope, after, size):
        read = 0
        batch = []
        for user_id, entries in rows:
            batch.append(user_id)
            # Negative if a damaged balance has fewer transactions than its mark.
            read += max(entries, 0)
            # A batch is one statement. Its length depends on the transactions, not on the users.
            if read >= ENTRIES_PER_BATCH:
                break
        yield batch, read
        after = batch[-1]


def _next(scope: CheckScope, after: str, size: int) -> list[tuple[str, int]]:
    with server_cursor() as cursor:
        cursor.execute(
            f"""SELECT b.user_id, {_ENTRIES[scope.changes]} {_DUE}
                WHERE b.user_id > %(after)s AND NOT coalesce({_VERIFIED[scope.changes]}, false)
                ORDER BY b.user_id LIMIT %(size)s""",
            {**_values(scope), "after": after, "size": size},
        )
        return [(user_id, int(entries)) for user_id, entries in cursor.fetchall()]


def _values(scope: CheckScope) -> dict[str, Any]:
    return {"full_check": scope.full.pk} if scope.full else {}


def _finish(scope: CheckScope, wrong: int) -> None:
    """Delete the marks of users who were erased since; record the end of a full check."""
    with server_cursor() as cursor:
        cursor.execute(
            """DELETE FROM credits.checked_balances c
               WHERE NOT EXISTS (SELECT FROM credits.balances b WHERE b.user_id = c.user_id)"""
        )
    if scope.full:
        LedgerCheck.objects.filter(pk=scope.full.pk).update(
            # A constraint refuses an end before the start. The start comes from the caller's clock.
            finished_at=Greatest(Now(), F("started_at")),
            discrepancies=wrong,
        )


def _writable() -> bool:
    with server_cursor() as cursor:
        cursor.execute("SELECT current_setting('transaction_read_only') = 'off'")
        row: Any = cursor.fetchone()
    return bool(row[0])
