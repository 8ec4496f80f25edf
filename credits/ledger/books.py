"""Checks of the books: find the discrepancies of a list of users.

`credits.ledger.book_rules` has the rules, `credits.ledger.ledger_checks` the checks of all users.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import DataError, transaction
from django.db.backends.utils import CursorWrapper
from psycopg.sql import quote

from credits.ledger.book_rules import RULES, add_rules
from credits.ledger.checked_rows import SOURCES
from credits.ledger.db_functions import server_cursor
from credits.models import Balance
from credits.postgresql import replica

__all__ = ["RULES", "BooksDoNotClose", "Discrepancy", "add_rules", "check", "orphans"]


COMPUTABLE = "every row can be computed with"


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A violation of a rule of the books: the rule, the user and a sentence."""

    rule: str
    user_id: str
    sentence: str


class BooksDoNotClose(Exception):
    """A check found discrepancies; each was printed or logged."""


# Marks users without a discrepancy as verified. If a discrepancy names a user outside the batch, to
# whose row a row of the batch refers, nobody is marked: the next check then finds it again.
_MARKED = """
    marked AS (
        INSERT INTO credits.checked_balances AS c (
            user_id, version, last_number, posted, held, total_earned, total_spent, used, usages,
            digest, full_check
        )
        SELECT user_id, version, last_number, posted, held, total_earned, total_spent, used, usages,
               last_digest, %(full_check)s::bigint
        FROM walks w
        WHERE NOT EXISTS (SELECT FROM found f WHERE f.user_id = w.user_id)
          AND NOT EXISTS (
              SELECT FROM found f WHERE f.user_id NOT IN (SELECT user_id FROM accounts)
          )
        ON CONFLICT (user_id) DO UPDATE SET
            version = excluded.version, last_number = excluded.last_number,
            posted = excluded.posted, held = excluded.held,
            total_earned = excluded.total_earned, total_spent = excluded.total_spent,
            used = excluded.used, usages = excluded.usages, digest = excluded.digest,
            full_check = coalesce(excluded.full_check, c.full_check)
    ),
    unmarked AS (
        DELETE FROM credits.checked_balances
        WHERE user_id = ANY (ARRAY(SELECT DISTINCT user_id FROM found))
    )
"""

# Loose index scan: finds each user of a table by one step in the index that begins with user_id.
_USERS_OF = """
    (
        WITH RECURSIVE users AS (
            (SELECT user_id FROM {table} WHERE {condition} ORDER BY user_id LIMIT 1)
            UNION ALL
            SELECT (
                SELECT t.user_id FROM {table} t
                WHERE t.user_id > users.user_id AND {condition} ORDER BY t.user_id LIMIT 1
            ) FROM users WHERE users.user_id IS NOT NULL
        )
        SELECT user_id FROM users WHERE user_id IS NOT NULL
    )
"""
# Committed reservations are left out, because their transactions already name the user.
_OWNED = {
    "credits.transactions": "true",
    "credits.reservations": "status <> 'committed'",
    "credits.usage_stats": "true",
    "credits.sync_subscriptions": "charge_id IS NOT NULL",
}
_ORPHANS = """
    SELECT 'every row belongs to a balance', user_id, 'has rows, but no balance' FROM ({users}) r
    WHERE NOT EXISTS (SELECT FROM credits.balances b WHERE b.user_id = r.user_id)
    GROUP BY user_id ORDER BY user_id
"""
ORPHANS_OF_ALL = _ORPHANS.format(
    users=" UNION ALL ".join(
        _USERS_OF.format(table=name, condition=which) for name, which in _OWNED.items()
    )
)


def check(users: list[str], *, since_last: bool = False) -> list[Discrepancy]:
    """Return the discrepancies of these users, read in one statement and therefore one snapshot.

    With `since_last` only the transactions after each user's last verified one are read.
    """
    return _found(users, statement(), {"since_last": since_last})


def check_and_mark(users: list[str], *, full_check: int | None) -> list[Discrepancy]:
    """Check these users as `check` does, and mark those without a discrepancy as verified.

    `full_check` is the id of the full check that the batch is part of. Without one, only the
    transactions after each user's last verified one are read.
    """
    values = {"since_last": full_check is None, "full_check": full_check}
    return _found(users, statement(marks=True), values)


def statement(*, marks: bool = False) -> str:
    """Return the SQL that checks the users %(users)s and, with `marks`, marks the verified ones."""
    rules = " UNION ALL ".join(
        f"SELECT {quote(rule)}, r.* FROM ({query}) r"  # noqa: S608
        for rule, query in RULES.items()
    )
    # MATERIALIZED, because the result and the marks must come from the same rows.
    found = f"found (rule, user_id, sentence) AS MATERIALIZED ({rules})"
    parts = ", ".join([SOURCES, found, *([_MARKED] if marks else [])])
    return f"WITH {parts} SELECT rule, user_id, sentence FROM found"  # noqa: S608


def orphans(users: list[str] | None = None) -> list[Discrepancy]:
    """Return a discrepancy for each of these users, or of all users, with rows but no balance."""
    if users is None:
        return discrepancies(ORPHANS_OF_ALL, {})
    exist = " OR ".join(
        f"EXISTS (SELECT FROM {name} t WHERE t.user_id = u.user_id AND {which})"
        for name, which in _OWNED.items()
    )
    named = f"SELECT u.user_id FROM unnest(%(users)s::text[]) AS u(user_id) WHERE {exist}"  # noqa: S608
    return discrepancies(_ORPHANS.format(users=named), {"users": users})


def all_users(*, batch_size: int) -> Iterator[list[str]]:
    """Yield the ids of all users with a balance, in lists of `batch_size`."""
    after = ""
    while users := list(
        Balance.objects.filter(pk__gt=after)
        .order_by("pk")
        .values_list("pk", flat=True)[:batch_size]
    ):
        yield users
        after = users[-1]


@contextmanager
def snapshot() -> Iterator[CursorWrapper]:
    """Yield a cursor in a read-only, repeatable-read transaction, unless one is already open."""
    database = replica.connection()
    outermost = not database.in_atomic_block
    with transaction.atomic(using=database.alias), database.cursor() as cursor:
        # In an open transaction the level can no longer be set; its owner has chosen it.
        if outermost:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield cursor


def discrepancies(query: str, values: Mapping[str, Any]) -> list[Discrepancy]:
    """Run a query for rules, users and sentences, and return the discrepancies."""
    with server_cursor() as cursor:
        cursor.execute(query, values)
        return [Discrepancy(*row) for row in cursor.fetchall()]


def _found(users: list[str], query: str, values: Mapping[str, Any]) -> list[Discrepancy]:
    """Run a check of these users. A row that cannot be computed with is a discrepancy of its user.

    Such a row stops the statement, and everybody else in it must be checked nevertheless.
    """
    try:
        return discrepancies(query, {**values, "users": users})
    except DataError as error:
        if len(users) == 1:
            what = str(error).partition("\n")[0]
            return [Discrepancy(COMPUTABLE, users[0], f"a row stops the check: {what}")]
        return [one for user in users for one in _found([user], query, values)]
