"""Migrations lock no large table and do not break the previous release.

squawk checks the SQL of every migration since the first release. CONTRIBUTING.md says how to write
one.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import connection, models
from django.db.migrations import (
    AddConstraint,
    AddField,
    AddIndex,
    AlterField,
    Migration,
    RemoveField,
    RunPython,
    RunSQL,
)
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from credits.models.fields import amount_field

ROOT = Path(__file__).resolve().parents[2]
# The initial migrations, which run on empty tables: all up to this number.
FIRST_RELEASE = {"credits": 1, "gifts": 1, "webhooks": 1}
# Exceptions: migrations that may break a rule, each with its reason.
EXCUSED: dict[str, set[str]] = {}
BIG = r'"?credits"?\."?(balances|transactions|reservations|usage_stats|idempotency_keys|outbox)"?'
WHOLE_TABLE = re.compile(
    rf"^\s*(LOCK\s+(TABLE\s+)?{BIG}|(UPDATE|DELETE\s+FROM)\s+{BIG}\b|TRUNCATE)",
    re.IGNORECASE | re.MULTILINE,
)

pytestmark = pytest.mark.django_db


def faults(migration: Migration, state: ProjectState) -> set[str]:
    """Return the names of the rules that a migration violates."""
    found = set()
    if migration.atomic and any(isinstance(one, RunPython) for one in migration.operations):
        found.add("data-in-one-transaction")
    with (
        # Nothing is executed, so SQL that must run outside a transaction can be collected inside
        # one.
        patch.object(connection, "in_atomic_block", migration.atomic),
        connection.schema_editor(collect_sql=True, atomic=False) as editor,
    ):
        migration.apply(state.clone(), editor, collect_sql=True)
    sql = "\n".join(editor.collected_sql)
    if WHOLE_TABLE.search(sql):
        found.add("whole-table-at-once")
    return found | squawk(sql, in_transaction=migration.atomic)


def squawk(sql: str, *, in_transaction: bool) -> set[str]:
    """Return the names of squawk's rules that the SQL violates."""
    command = [str(Path(sys.executable).with_name("squawk")), "--reporter", "json"]
    checked = subprocess.run(
        [*command, *(["--assume-in-transaction"] if in_transaction else [])],
        input=sql,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode in {0, 1}, checked.stderr
    return {one["rule_name"] for one in json.loads(checked.stdout or "[]")}


def test_no_migration_since_the_first_release_breaks_a_rule() -> None:
    loader = MigrationLoader(connection)
    later = [
        key
        for key in sorted(loader.disk_migrations)
        if int(key[1][:4]) > FIRST_RELEASE.get(key[0], 9999)
    ]

    broken = {
        ".".join(key): faults(loader.disk_migrations[key], loader.project_state(key, at_end=False))
        for key in later
    }

    assert {key: rules for key, rules in broken.items() if rules} == EXCUSED


def of(*operations: Any, atomic: bool = True) -> Migration:
    body = {"operations": list(operations), "atomic": atomic}
    migration: Migration = type("Next", (Migration,), body)("next", "credits")
    return migration


INDEX = models.Index(fields=["app_id"], name="transaction_app_idx")
CHECK = models.CheckConstraint(name="transaction_app_known", condition=~models.Q(app_id=""))
UNIQUE = models.UniqueConstraint(name="reservation_unique", fields=["user_id", "created_at"])
FILL = "UPDATE credits.transactions SET app_id = 'x'"


@pytest.mark.parametrize(
    ("operations", "fault"),
    [
        ([AddIndex("transaction", INDEX)], "require-concurrent-index-creation"),
        ([AddConstraint("transaction", CHECK)], "constraint-missing-not-valid"),
        ([AddConstraint("reservation", UNIQUE)], "disallowed-unique-constraint"),
        ([AddField("balance", "x", amount_field(default=0))], "ban-drop-default"),
        ([AlterField("balance", "held", models.FloatField())], "changing-column-type"),
        (
            [AlterField("transaction", "request_id", models.CharField(max_length=128, default=""))],
            "adding-not-nullable-field",
        ),
        ([RemoveField("transaction", "request_id")], "ban-drop-column"),
        ([RunSQL("LOCK TABLE credits.balances")], "whole-table-at-once"),
        ([RunSQL(FILL)], "whole-table-at-once"),
        ([RunPython(RunPython.noop)], "data-in-one-transaction"),
    ],
)
def test_what_locks_a_table_or_breaks_the_release_before_is_refused(
    operations: list[Any], fault: str
) -> None:
    state = MigrationLoader(connection).project_state()

    assert fault in faults(of(*operations), state)


NOT_VALID = "ALTER TABLE credits.transactions ADD CONSTRAINT c CHECK (app_id <> '') NOT VALID"


@pytest.mark.parametrize(
    "migration",
    [
        of(AddField("balance", "x", amount_field(null=True))),
        of(AddField("balance", "x", amount_field(db_default=0))),
        of(AddIndexConcurrently("transaction", INDEX), atomic=False),
        of(RunSQL(NOT_VALID)),
        of(RunSQL("ALTER TABLE credits.transactions VALIDATE CONSTRAINT c")),
        of(RunPython(RunPython.noop), atomic=False),
    ],
    ids=["nullable", "db_default", "concurrently", "not valid", "validate", "batches"],
)
def test_what_does_not_is_let_through(migration: Migration) -> None:
    state = MigrationLoader(connection).project_state()

    assert faults(migration, state) == set()
