"""A migrated database equals the files in `sql/`, and its keys begin with the user id."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from credits.errors import DomainError
from credits.ledger.outcomes import DONE

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("owner")]

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("credits/ledger/sql", "gifts/sql", "mana_credits/service_events/sql")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("*.sql"))
FUNCTION = re.compile(r"^CREATE OR REPLACE FUNCTION (\w+\.\w+)\(", re.MULTILINE)
TRIGGER = re.compile(r"^CREATE OR REPLACE TRIGGER (\w+)", re.MULTILINE)
KINDS = (FUNCTION, TRIGGER)
CONSTRAINT = re.compile(r"ADD CONSTRAINT (\w+)\s+(.+?);", re.DOTALL)
OUTCOME = re.compile(r"outcome := '(\w+)'")
SCHEMAS = "(to_regnamespace('credits'), to_regnamespace('gifts'))"
# Tables with rows of a single user: these are sharded if one server is not enough.
OF_ONE_USER = {
    "credits.account_settings",
    "credits.auto_top_ups",
    "credits.balances",
    "credits.credit_lots",
    "credits.idempotency_keys",
    "credits.lot_uses",
    "credits.reservations",
    "credits.spending_limits",
    "credits.sync_subscriptions",
    "credits.transactions",
    "credits.usage_stats",
}


def rows(sql: str) -> list[tuple[Any, ...]]:
    """Return a query's rows, in which every name has its schema."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL search_path = pg_catalog")
        cursor.execute(sql)
        found = list(cursor.fetchall())
        transaction.set_rollback(True)
    return found


def definitions() -> list[tuple[Any, ...]]:
    """Return the database's definition of every function and trigger of the schemas."""
    return rows(
        f"""SELECT pronamespace::regnamespace || '.' || proname, pg_get_functiondef(oid), ''
                FROM pg_proc WHERE pronamespace IN {SCHEMAS}
            UNION ALL SELECT tgname, pg_get_triggerdef(t.oid), tgenabled::text
                FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
                WHERE relnamespace IN {SCHEMAS} AND NOT tgisinternal
            ORDER BY 1, 2"""
    )


def test_each_function_and_trigger_has_one_file() -> None:
    texts = [path.read_text() for path in FILES]
    in_files = [name for text in texts for kind in KINDS for name in kind.findall(text)]

    assert sorted(in_files) == sorted(name for name, *_ in definitions())
    assert {path.stem for path in FILES} == {"grants", "keys", "storage"} | {
        name.split(".")[1] for text in texts for name in FUNCTION.findall(text)
    }


def test_the_functions_and_triggers_are_those_of_the_files() -> None:
    migrated = definitions()

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for path in FILES:
            if FUNCTION.search(path.read_text()):
                cursor.execute(path.read_text())

    assert definitions() == migrated


def test_the_keys_are_those_of_the_files() -> None:
    written = {
        name: re.sub(r"\s+", " ", definition).replace(" (user_id,", "(user_id,")
        for path in FILES
        if path.stem == "keys"
        for name, definition in CONSTRAINT.findall(path.read_text())
    }
    written = {name: re.sub(r"KEY ?\(", "KEY (", text) for name, text in written.items()}
    known = dict(
        rows(
            f"""SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
                WHERE connamespace IN {SCHEMAS}"""
        )
    )

    assert len(written) == 12
    assert {name: known.get(name) for name in written} == written


def test_unique_keys_of_a_users_rows_begin_with_the_user() -> None:
    first = rows(
        f"""SELECT i.indrelid::regclass::text, i.indexrelid::regclass::text, a.attname
            FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
            WHERE c.relnamespace IN {SCHEMAS} AND i.indisunique ORDER BY 1, 2"""
    )

    begin = {(table, column) for table, _, column in first if table in OF_ONE_USER}
    assert begin == {(table, "user_id") for table in OF_ONE_USER}


def test_foreign_keys_to_a_users_rows_begin_with_the_user() -> None:
    keys = rows(
        f"""SELECT conrelid::regclass::text, confrelid::regclass::text, a.attname, b.attname
            FROM pg_constraint
            JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = conkey[1]
            JOIN pg_attribute b ON b.attrelid = confrelid AND b.attnum = confkey[1]
            WHERE contype = 'f' AND connamespace IN {SCHEMAS} ORDER BY 1, 2"""
    )

    to_users = [key for key in keys if key[1] in OF_ONE_USER]
    from_users = [key for key in keys if key[0] in OF_ONE_USER]
    assert to_users == [
        ("credits.adjustment_requests", "credits.transactions", "user_id", "user_id"),
        ("credits.credit_lots", "credits.transactions", "user_id", "user_id"),
        ("credits.lot_uses", "credits.credit_lots", "user_id", "user_id"),
        ("credits.purchases", "credits.transactions", "user_id", "user_id"),
        ("credits.reservations", "credits.transactions", "user_id", "user_id"),
        ("credits.sync_subscriptions", "credits.transactions", "user_id", "user_id"),
        ("credits.transactions", "credits.transactions", "user_id", "user_id"),
        ("gifts.gift_codes", "credits.transactions", "creator_id", "user_id"),
        ("gifts.gift_redemptions", "credits.transactions", "redeemer_id", "user_id"),
    ]
    assert {key[1] for key in from_users} == {"credits.transactions", "credits.credit_lots"}


def test_every_outcome_of_a_function_is_the_code_of_an_error() -> None:
    outcomes = {name for path in FILES for name in OUTCOME.findall(path.read_text())}

    assert "insufficient_credits" in outcomes
    assert outcomes - DONE - {"reservation_open", "reservation_"} <= set(DomainError.by_code)
