"""Distribution of the users' tables over the shards of a Citus cluster, and its undo.

The rows of one user are on one shard, so a movement is one call on one server. Every other table
stays on the coordinator. See docs/scaling.md.
"""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
from django.db import connection, transaction

from credits.errors import DomainError
from credits.ledger import sql_files

# The first one decides where a user's rows are. The others follow it.
TABLES = (
    "credits.balances",
    "credits.transactions",
    "credits.reservations",
    "credits.credit_lots",
    "credits.lot_uses",
    "credits.idempotency_keys",
    "credits.usage_stats",
    "credits.sync_subscriptions",
    "credits.account_settings",
    "credits.spending_limits",
    "credits.auto_top_ups",
)
# Small, read by every spend: a copy on each server.
REFERENCE_TABLE = "credits.operations"
# Functions that touch the rows of one user: Citus runs a call on the server that has them.
OF_ONE_USER = ("post_transaction", "reserve")
KEY_FILES = ("credits.ledger", "gifts")
EVENTS = "mana_credits.service_events"
_FOREIGN_KEY = re.compile(r"ALTER TABLE (\S+) ADD CONSTRAINT (\w+)\s+FOREIGN KEY [^;]+;")

_HAS_CITUS = "SELECT EXISTS (SELECT FROM pg_proc WHERE proname = 'create_distributed_table')"
# The second one is asked only if Citus has created the table.
_ARE_ON_SHARDS = (
    "SELECT to_regclass('pg_dist_partition') IS NOT NULL",
    """
    SELECT EXISTS (SELECT FROM pg_dist_partition
                   WHERE logicalrelid = to_regclass('credits.balances'))
    """,
)
_DISTRIBUTED = """
    SELECT relnamespace::regnamespace || '.' || relname
    FROM pg_dist_partition JOIN pg_class c ON c.oid = logicalrelid
"""
# Citus has no foreign keys from a local table to a distributed one.
_FOREIGN_KEYS_TO_SHARDS = """
    SELECT relnamespace::regnamespace || '.' || relname, conname
    FROM pg_constraint JOIN pg_class c ON c.oid = conrelid
    WHERE contype = 'f' AND confrelid = ANY (%(tables)s::regclass[])
      AND NOT conrelid = ANY (%(tables)s::regclass[])
    ORDER BY conname
"""
# A trigger of a shard cannot write to tables of another server: Citus refuses a distributed query
# from a query on a shard. Event subscriptions and messages are on the coordinator.
_ANNOUNCEMENTS = """
    SELECT tgrelid::regclass::text, tgname FROM pg_trigger JOIN pg_proc p ON p.oid = tgfoid
    WHERE tgrelid = ANY (%(tables)s::regclass[]) AND NOT tgisinternal AND proname ~ '^announce_'
    ORDER BY tgname
"""
_FUNCTIONS = """
    SELECT proname, oid::regprocedure::text FROM pg_proc
    WHERE pronamespace = 'credits'::regnamespace AND prorettype <> 'trigger'::regtype
      AND prokind = 'f'
    ORDER BY proname
"""


class CitusMissing(DomainError):
    """The database has no Citus extension."""

    code = "no_cluster"
    message = "The database has no Citus extension: CREATE EXTENSION citus on every server first"


class LedgerNotEmpty(DomainError):
    """The ledger has rows, so its distribution cannot be undone."""

    code = "not_empty"
    status = 409
    message = "The ledger has transactions. Only an empty one can be brought back to one server"


def is_distributed(parameters: dict[str, Any]) -> bool:
    """Connect with these parameters and return whether the users' tables are on shards.

    Returns False while the database is unreachable.
    """
    try:
        with psycopg.connect(**parameters) as checked:
            return all(checked.execute(sql).fetchone() == (True,) for sql in _ARE_ON_SHARDS)
    except psycopg.OperationalError:
        return False


@transaction.atomic
def distribute() -> list[str]:
    """Distribute what is not distributed yet; return a sentence for each change.

    Raises CitusMissing.
    """
    return list(_distribution())


@transaction.atomic
def undo() -> list[str]:
    """Bring an empty ledger back to one server; return a sentence for each change.

    Raises CitusMissing, LedgerNotEmpty.
    """
    return list(_undoing())


def _distribution() -> Iterator[str]:
    known = _distributed()
    _run("SET LOCAL citus.enable_unsafe_triggers = on")  # the triggers read their own row only
    _run("SET LOCAL citus.multi_shard_modify_mode = 'sequential'")  # for the foreign keys
    for table, name in _rows(_FOREIGN_KEYS_TO_SHARDS, tables=list(TABLES)):
        _run(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        yield f"Dropped the foreign key {name} of {table}; check_ledger checks this rule."
    for table, name in _rows(_ANNOUNCEMENTS, tables=list(TABLES)):
        _run(f"DROP TRIGGER {name} ON {table}")
        yield f"Dropped the trigger {name}: services get no messages of events from a cluster."
    if REFERENCE_TABLE not in known:
        _run("SELECT create_reference_table(%(table)s)", table=REFERENCE_TABLE)
        yield f"Copied {REFERENCE_TABLE} to every server."
    for table in TABLES:
        if table not in known:
            _distribute_table(table)
            yield f"Distributed {table} by user_id."
    if set(TABLES) - known:
        yield from _distribute_functions()


def _undoing() -> Iterator[str]:
    known = _distributed()
    if _rows("SELECT 1 FROM credits.transactions LIMIT 1"):
        raise LedgerNotEmpty
    for table in (*TABLES, REFERENCE_TABLE):
        # The cascade may have brought this table back already.
        if table in known and table in _distributed():
            _run(
                "SELECT undistribute_table(%(table)s, cascade_via_foreign_keys => true)",
                table=table,
            )
            yield f"Brought {table} back."
    if known and not _rows(_ANNOUNCEMENTS, tables=list(TABLES)):
        for file in sorted(sql_files.path(EVENTS, "announce").parent.glob("announce_*.sql")):
            _run(file.read_text(encoding="utf-8"))
        yield "Added the triggers of events."
    for statement, name in _missing_foreign_keys():
        _run(statement)
        yield f"Added the foreign key {name}."


def _distributed() -> set[str]:
    if not _rows(_HAS_CITUS)[0][0]:
        raise CitusMissing
    return {str(name) for (name,) in _rows(_DISTRIBUTED)}


def _distribute_table(table: str) -> None:
    # In one colocation group, all rows of a user are on the same server.
    colocated = "default" if table == TABLES[0] else TABLES[0]
    _run(
        "SELECT create_distributed_table(%(table)s, 'user_id', colocate_with => %(with)s)",
        **{"table": table, "with": colocated},
    )


def _distribute_functions() -> Iterator[str]:
    for name, signature in _rows(_FUNCTIONS):
        if name in OF_ONE_USER:
            _run(
                "SELECT create_distributed_function(%(function)s::regprocedure, 'p_user_id',"
                " colocate_with => %(table)s)",
                function=signature,
                table=TABLES[0],
            )
            yield f"Calls of {name} run on the server of their user."
        else:
            _run(
                "SELECT create_distributed_function(%(function)s::regprocedure)", function=signature
            )


def _missing_foreign_keys() -> Iterator[tuple[str, str]]:
    known = {name for (name,) in _rows("SELECT conname FROM pg_constraint WHERE contype = 'f'")}
    for package in KEY_FILES:
        for found in _FOREIGN_KEY.finditer(
            sql_files.path(package, "keys").read_text(encoding="utf-8")
        ):
            if found[2] not in known:
                yield found[0], found[2]


def _run(statement: str, **values: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)


def _rows(query: str, **values: list[str]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values or None)
        return list(cursor.fetchall())
