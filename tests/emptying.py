"""Empty the tables after a test that committed, on a connection of its own.

`ALTER TABLE … DISABLE TRIGGER` makes every session plan its statements again, and a change of
`session_replication_role` its own session. The next test would take 100 ms longer.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.apps import apps

from tests.books import IN_PLACE
from tests.running import database_of_the_test

# Filled by migrations, and never changed by a test for good.
KEPT = {
    '"credits"."operation_prices"',
    '"credits"."operations"',
    "auth_group",
    "auth_group_permissions",
    "auth_permission",
    "django_content_type",
}
# The append-only tables, with the functions of the triggers that reject a DELETE.
APPEND_ONLY = {
    "transactions": "refuse_change_of_history",
    "staff_actions": "refuse_change_of_audit",
    "settings_changes": "refuse_change_of_settings",
}
_ALLOWING = """
    CREATE OR REPLACE FUNCTION credits.{name}() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN RETURN OLD; END'
"""
# The price list is not emptied. A test that changes a price leaves the first one behind.
_FIRST_PRICES = """
    DELETE FROM credits.operation_prices WHERE version > 1;
    UPDATE credits.operations o SET
        cost = p.cost_after, per_items = p.per_items_after, metering = NULL, active = true,
        version = 1, updated_at = p.changed_at
    FROM credits.operation_prices p WHERE p.operation_id = o.key AND o.version > 1
"""


class Emptying:
    """Empties the tables of the tests' database as its owner."""

    def __init__(self, connection: "psycopg.Connection[tuple[str]]") -> None:
        self._connection = connection
        if IN_PLACE:  # on a cluster, each shard has the triggers
            allowing, rejecting = _rules("DISABLE TRIGGER"), _rules("ENABLE ALWAYS TRIGGER")
        else:
            allowing = [_ALLOWING.format(name=name) for name in APPEND_ONLY.values()]
            rejecting = [self._definition(name) for name in APPEND_ONLY.values()]
        # Triggers of foreign keys are off. With small tables, DELETE is faster than TRUNCATE.
        replica = "SET LOCAL session_replication_role = replica"
        deletes = [f"DELETE FROM {name}" for name in _emptied_tables()]
        self._statements = "; ".join([*allowing, replica, *deletes, *rejecting, _FIRST_PRICES])

    def run(self) -> None:
        """Empty the tables in one transaction."""
        with self._connection.transaction():
            self._connection.execute(self._statements)

    def _definition(self, function: str) -> str:
        row = self._connection.execute(
            "SELECT pg_get_functiondef(%s::regproc)", [f"credits.{function}"]
        ).fetchone()
        assert row
        return row[0]


@contextmanager
def connected() -> Iterator[Emptying]:
    """Connect as the owner of the tests' database during the context."""
    session = "-c lock_timeout=20s -c check_function_bodies=off"
    url = database_of_the_test()
    with psycopg.connect(url, autocommit=True, options=session) as connection:
        yield Emptying(connection)


def _rules(switch: str) -> list[str]:
    """Return the statements that switch the rules of append-only tables."""
    return [
        f"ALTER TABLE credits.{name} {switch} {name}_are_append_only,"
        f" {switch} {name}_are_never_truncated"
        for name in APPEND_ONLY
    ]


def _emptied_tables() -> list[str]:
    models = apps.get_models(include_auto_created=True)
    return sorted({model._meta.db_table for model in models} - KEPT)
