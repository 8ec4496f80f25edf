"""The import: copy the source, find out what is new and what is wrong, post it in batches.

All of it is SQL over the copies (`sql/`). Each batch of users is one transaction, so
a run that was stopped goes on where it stopped with a new copy.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from credits.ledger.reservations import DEFAULT_TTL
from mana_credits.legacy_import import gift_contribution, source
from mana_credits.legacy_import.contributions import TABLES, Part

SQL = Path(__file__).resolve().parent / "sql" / "credits"
PARTS: tuple[Part, ...] = (gift_contribution.PART,)
LOCK = 8_001_923  # one import at a time; any number would do
LOCK_WAIT = "60s"
WORK_MEMORY = "64MB"

# What is in the copies, and of that what is not here yet.
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


class Finding(NamedTuple):
    """Something wrong in the source: its kind, whose and which row it is, and a sentence.

    A `difference` says in numbers what does not add up: balance, sum of rows, open reservations and
    the adjustment that makes up for it. A `doubled charge` says how many charges were surplus, and
    their credits; a `subscription price` the credits that are charged next.
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


class Work(NamedTuple):
    """A stage of posting: what it consists of, how much, and how many more are done, in steps."""

    unit: str
    total: int
    steps: Iterator[int]


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other import runs, keep others out, and leave no copies behind."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{LOCK_WAIT}'")
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        cursor.execute(f"SET work_mem = '{WORK_MEMORY}'")
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
    """Copy the source; yield each table's name and rows. Raises what `source.copy` does."""
    yield from source.copy(url, [*TABLES, *(table for part in PARTS for table in part.tables)])


def prepare() -> None:
    """Find out what the entries are to be, and what is wrong. Changes only the copies."""
    scripts = [SQL / "refused.sql", SQL / "entries.sql"]
    found = [SQL / "users.sql", SQL / "subscriptions.sql"]
    for script in [*scripts, *(part.entries for part in PARTS), *found]:
        _run(script)


def counts() -> dict[str, tuple[int, int]]:
    """Return for each kind of rows how many the source has, and how many are not here."""
    queries = {**COUNTS, **{name: sql for part in PARTS for name, sql in part.counts.items()}}
    return {name: _row(query) for name, query in queries.items()}


def findings() -> Iterator[Finding]:
    """Yield what is wrong in the source, by kind and user, whether imported before or not."""
    query = 'SELECT * FROM legacy_findings ORDER BY kind, user_id COLLATE "C", row_id, sentence'
    yield from map(Finding._make, _rows(query))


def work(*, batch_size: int, now: datetime) -> Iterator[Work]:
    """Yield the stages of the import; each posts as its steps are taken."""
    _run(SQL / "packages.sql")
    (total,) = _row("SELECT count(*) FROM legacy_entries WHERE NOT here")
    yield Work("transactions", total, _post(batch_size, now))
    for part in PARTS:
        (total,) = _row(f"SELECT count(*) FROM {part.numbered}")  # noqa: S608
        yield Work(part.unit, total, _bring(part, batch_size))


def users() -> Iterator[str]:
    """Yield every user of the source who has a balance."""
    query = "SELECT user_id FROM legacy_users WHERE has_balance ORDER BY position"
    return (user_id for (user_id,) in _rows(query))


def unequal() -> Iterator[str]:
    """Yield who has another balance here than there, and has not moved credits here since."""
    yield from (
        f"User {user_id}: the balance is {here}, the source's {there}."
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
        with transaction.atomic():
            _run(SQL / "post.sql", {**values, **batch})
            (posted,) = _row("SELECT count(*) FROM legacy_new WHERE NOT opening")
            _run(SQL / "rows.sql", {**values, **batch})
        yield posted


def _bring(part: Part, batch_size: int) -> Iterator[int]:
    (last,) = _row(f"SELECT count(*) FROM {part.numbered}")  # noqa: S608
    for first in range(1, last + 1, batch_size):
        end = min(first + batch_size - 1, last)
        with transaction.atomic():
            _run(part.rows, {"first": first, "last": end})
        yield end - first + 1


def _run(script: Path, values: dict[str, Any] | None = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(script.read_text(), values)


def _row(query: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()


def _rows(query: str) -> Iterator[Any]:
    """Yield the rows of a query, however many, without holding them."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(query)
        while some := cursor.fetchmany(1000):
            yield from some
