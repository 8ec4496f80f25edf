"""The import: copy the source, find new rows and faults, post new rows in batches.

All steps are SQL on the copies (`sql/`). Each batch of users is one transaction. After an
interruption, the next run takes a new copy and continues.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils.crypto import salted_hmac

from credits.ledger.reservations import DEFAULT_TTL
from mana_credits.legacy_import import gift_contribution, source
from mana_credits.legacy_import.contributions import TABLES, ImportContribution

SQL = Path(__file__).resolve().parent / "sql" / "credits"
PARTS: tuple[ImportContribution, ...] = (gift_contribution.PART,)
# Key of the advisory lock that allows one import at a time; the number is arbitrary.
LOCK = 8_001_923
LOCK_WAIT = "60s"
WORK_MEMORY = "64MB"

# Queries for the number of copied rows and for those of them that are not imported yet.
COUNTS = {
    "transactions": """
        SELECT count(*), count(*) FILTER (WHERE NOT here) FROM legacy_entries WHERE NOT made
    """,
    "entries made": """
        SELECT count(*), count(*) FILTER (WHERE NOT here) FROM legacy_entries WHERE made
    """,
    "users": """
        SELECT count(*), count(*) FILTER (WHERE b.user_id IS NULL)
        FROM legacy_users LEFT JOIN credits.balances b USING (user_id) WHERE has_balance
    """,
    "open reservations": """
        SELECT count(*), count(*) FILTER (WHERE r.id IS NULL)
        FROM legacy_reservations l LEFT JOIN credits.reservations r USING (id)
        WHERE l.status = 'reserved'
    """,
    "packages": """
        SELECT count(*), count(*) FILTER (WHERE p.id IS NULL)
        FROM legacy_packages LEFT JOIN credits.packages p USING (id)
    """,
    "purchases": """
        SELECT count(*), count(*) FILTER (WHERE p.id IS NULL)
        FROM legacy_purchases LEFT JOIN credits.purchases p USING (id)
    """,
    "Stripe customers": """
        SELECT count(*), count(*) FILTER (WHERE c.id IS NULL)
        FROM legacy_stripe_customers LEFT JOIN credits.stripe_customers c USING (user_id)
    """,
    "subscriptions": """
        SELECT count(*), count(*) FILTER (WHERE s.user_id IS NULL)
        FROM legacy_sync_subscriptions LEFT JOIN credits.sync_subscriptions s USING (user_id)
    """,
}


class SourceFault(NamedTuple):
    """A fault in the source: its kind, user id, row id and a sentence.

    A `difference` has the numbers that do not add up: balance, sum of rows, open reservations, and
    the adjustment that compensates. A `doubled charge` has the number of surplus charges and their
    credits. A `subscription price` has the credits of the next charge.
    """

    kind: str
    user_id: str | None
    row_id: str | None
    sentence: str
    balance: Any = None
    rows: Any = None
    open: Any = None
    difference: Any = None
    surplus: Any = None
    credits: Any = None


class ImportStage(NamedTuple):
    """A stage of posting: the unit, the total, and an iterator over the increments."""

    unit: str
    total: int
    steps: Iterator[int]


@contextmanager
def alone() -> Iterator[None]:
    """Hold the lock against other imports, and drop the copies before and after."""
    with connection.cursor() as cursor:
        # For the session, because each batch is a transaction of its own.
        cursor.execute(f"SET lock_timeout = '{LOCK_WAIT}'")
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        cursor.execute(f"SET work_mem = '{WORK_MEMORY}'")
        # An earlier import of this session may have ended without its clean-up.
        _drop_copies(cursor)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            _drop_copies(cursor)
            cursor.execute("RESET work_mem")
            cursor.execute("RESET lock_timeout")
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def copy(url: str) -> Iterator[tuple[str, int]]:
    """Copy the source. Yield each table's name and row count. Raises as `source.copy`."""
    yield from source.copy(url, [*TABLES, *(table for part in PARTS for table in part.tables)])


def prepare() -> None:
    """Compute the entries to post and the faults. Changes only the copies."""
    key = salted_hmac("legacy_import.openings", "", algorithm="sha256").hexdigest()
    _run(SQL / "openings.sql", {"opening_key": key})
    scripts = [SQL / "refused.sql", SQL / "entries.sql"]
    found = [SQL / "users.sql", SQL / "subscriptions.sql"]
    for script in [*scripts, *(part.entries for part in PARTS), *found]:
        _run(script)


def counts() -> dict[str, tuple[int, int]]:
    """Return for each kind of row the number in the source and the number not yet imported."""
    queries = {**COUNTS, **{name: sql for part in PARTS for name, sql in part.counts.items()}}
    return {name: _row(query) for name, query in queries.items()}


def findings() -> Iterator[SourceFault]:
    """Yield the faults of the source, by kind and user, whether imported before or not."""
    query = 'SELECT * FROM legacy_findings ORDER BY kind, user_id COLLATE "C", row_id, sentence'
    yield from map(SourceFault._make, _rows(query))


def work(*, batch_size: int, now: datetime) -> Iterator[ImportStage]:
    """Yield the stages of the import. Iterating over a stage's steps posts its rows."""
    # First, because purchases refer to packages.
    _run(SQL / "packages.sql")
    (total,) = _row("SELECT count(*) FROM legacy_entries WHERE NOT here")
    yield ImportStage("transactions", total, _post(batch_size, now))
    for part in PARTS:
        (total,) = _row(f"SELECT count(*) FROM {part.numbered}")  # noqa: S608
        yield ImportStage(part.unit, total, _bring(part, batch_size))


def users() -> Iterator[str]:
    """Yield the id of every user with a balance in the source."""
    query = "SELECT user_id FROM legacy_users WHERE has_balance ORDER BY position"
    return (user_id for (user_id,) in _rows(query))


def unequal() -> Iterator[str]:
    """Yield a sentence for each differing balance of a user without movements here."""
    yield from (
        f"User {user_id}: the balance is {here}, but {there} in the source."
        for user_id, here, there in _rows("""
            SELECT user_id, b.posted - b.held, u.balance
            FROM legacy_users u JOIN credits.balances b USING (user_id)
            WHERE b.posted - b.held <> u.balance
              AND NOT EXISTS (SELECT FROM credits.transactions t
                              WHERE t.user_id = u.user_id AND t.actor <> 'service:legacy')
              AND NOT EXISTS (SELECT FROM credits.reservations r
                              WHERE r.user_id = u.user_id AND (r.actor <> 'service:legacy'
                                                               OR r.status <> 'open'))
            ORDER BY position
        """)
    )


def _drop_copies(cursor: CursorWrapper) -> None:
    cursor.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = pg_my_temp_schema()"
        " AND relkind = 'r' AND relname LIKE 'legacy\\_%'"
    )
    for (name,) in cursor.fetchall():
        cursor.execute(f"DROP TABLE pg_temp.{name}")


def _post(batch_size: int, now: datetime) -> Iterator[int]:
    (last,) = _row("SELECT count(*) FROM legacy_users")
    values = {"now": now, "expires_at": now + DEFAULT_TTL}
    for first in range(1, last + 1, batch_size):
        batch = {"first": first, "last": first + batch_size - 1}
        # Entries and the rows that refer to them commit together, so that a run can stop between
        # batches.
        with transaction.atomic():
            _run(SQL / "post.sql", {**values, **batch})
            (posted,) = _row("SELECT count(*) FROM legacy_new WHERE NOT opening")
            _run(SQL / "rows.sql", {**values, **batch})
            _run(SQL / "lots.sql", {**values, **batch})
        yield posted


def _bring(part: ImportContribution, batch_size: int) -> Iterator[int]:
    (last,) = _row(f"SELECT count(*) FROM {part.numbered}")  # noqa: S608
    for first in range(1, last + 1, batch_size):
        end = min(first + batch_size - 1, last)
        with transaction.atomic():
            _run(part.rows, {"first": first, "last": end})
        yield end - first + 1


def _run(script: Path, values: dict[str, Any] | None = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(script.read_text(encoding="utf-8"), values)


def _row(query: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()


def _rows(query: str) -> Iterator[Any]:
    """Yield the rows of a query without keeping them in memory."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(query)
        while some := cursor.fetchmany(1000):
            yield from some
