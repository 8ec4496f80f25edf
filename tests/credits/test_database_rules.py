"""The database rejects rows that violate a rule, whoever writes them."""

from collections.abc import Iterable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import combinations
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from credits.ledger import ledger, reservations
from credits.ledger.posting import Memo
from credits.models import Transaction
from credits.postgresql.service_role import Role
from mana_credits.dev.database_roles import SERVICE_ROLE
from tests.factories import SYSTEM, give, hold, spend

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("owner")]

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
VALID: dict[str, dict[str, Any]] = {
    "balances": {"user_id": "bob", "created_at": NOW, "updated_at": NOW},
    "transactions": {
        "id": uuid4(),
        "user_id": "bob",
        "number": 1,
        "type": "grant",
        "amount": 5,
        "balance_before": 0,
        "balance_after": 5,
        "spent_change": 0,
        "app_id": "system",
        "description": "",
        "actor": "system",
        "created_at": NOW,
    },
    "reservations": {
        "id": uuid4(),
        "user_id": "bob",
        "amount": 5,
        "app_id": "chat",
        "reason": "chat",
        "actor": "service",
        "created_at": NOW,
        "expires_at": NOW + timedelta(hours=1),
    },
    "idempotency_keys": {
        "user_id": "bob",
        "key": "k",
        "fingerprint": "[]",
        "subject_id": uuid4(),
        "created_at": NOW,
    },
    "usage_stats": {
        "user_id": "bob",
        "date": NOW.date(),
        "app_id": "chat",
        "credits_used": 1,
        "transactions": 1,
    },
    "daily_totals": {
        "date": NOW.date(),
        "type": "usage",
        "app_id": "chat",
        "operation": "",
        "credits_out": 1,
        "transactions": 1,
    },
    "daily_revenue": {"date": NOW.date(), "purchases": 1, "sold_cents": 499},
}
NEGATIVE = {"amount": -5, "balance_after": -5}
SPENT = {**NEGATIVE, "type": "usage", "spent_change": 5}
PRICED = {"operation": "pdf_export", "unit_cost": 1, "quantity": 5}
SETTLED = {"settled_at": NOW}
COMMITTED = {**SETTLED, "status": "committed", "transaction_id": uuid4(), "committed_amount": 5}
BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("balance_user_id_not_empty", {"user_id": ""}),
    ("balance_held_not_negative", {"held": -1}),
    ("balance_earned_not_negative", {"total_earned": -1, "posted": -1}),
    ("balance_spent_not_negative", {"total_spent": -1, "posted": 1}),
    ("balance_posted_is_earned_minus_spent", {"posted": 1}),
    ("balance_number_not_negative", {"last_number": -1}),
    ("transaction_number_unique_per_user", {"user_id": "alice"}),
    ("transaction_cause_moves_once", {"user_id": "alice", "number": 2, "cause": "the-cause"}),
    ("transaction_user_id_not_empty", {"user_id": ""}),
    (
        "transaction_operation_is_a_usage_with_its_price",
        {**SPENT, "operation": "pdf_export", "quantity": 1},
    ),
    ("reservation_operation_has_its_price", {"unit_cost": 1}),
    ("transaction_continues_the_chain", {"number": 0}),
    ("transaction_sign_fits_type", {"amount": 0, "balance_after": 0}),
    ("transaction_continues_the_chain", {"balance_after": 6}),
    ("transaction_continues_the_chain", {"balance_before": 1, "balance_after": 6}),
    ("transaction_sign_fits_type", {"type": "present"}),
    ("transaction_sign_fits_type", {"type": "usage"}),
    ("transaction_sign_fits_type", {"type": "clawback"}),
    ("transaction_sign_fits_type", {"type": "purchase", **NEGATIVE}),
    ("transaction_sign_fits_type", {"type": "refund", **NEGATIVE}),
    ("transaction_sign_fits_type", {"type": "grant", **NEGATIVE}),
    ("transaction_sign_fits_type", {"type": "reinstatement", **NEGATIVE}),
    ("transaction_reversal_names_its_original", {"type": "reversal"}),
    ("transaction_operation_is_a_usage_with_its_price", PRICED),
    *(
        (name, {**base, **PRICED, **wrong})
        for name, base in (
            ("transaction_operation_is_a_usage_with_its_price", SPENT),
            ("reservation_operation_has_its_price", {}),
        )
        for wrong in (
            {"operation": None},
            {"unit_cost": None},
            {"unit_cost": 0},
            {"quantity": None},
            {"quantity": 0},
            {"unit_cost": -1, "quantity": -5},
            {"metering": "{}"},
        )
    ),
    *(
        (name, {**base, "operation": "pdf_export", "metering": "{}", **wrong})
        for name, base in (
            ("transaction_operation_is_a_usage_with_its_price", SPENT),
            ("reservation_operation_has_its_price", {}),
        )
        for wrong in (
            {"operation": None},
            {"unit_cost": 1},
            {"quantity": 1},
            {"unit_cost": 1, "quantity": 1},
        )
    ),
    (
        "transaction_operation_is_a_usage_with_its_price",
        {"operation": "pdf_export", "metering": "{}"},
    ),
    ("transaction_actor_known", {"actor": ""}),
    ("transaction_actor_known", {"actor": "operator"}),
    ("transaction_actor_known", {"actor": "service:"}),
    ("transaction_actor_known", {"actor": "user:alice"}),
    ("transaction_key_not_empty", {"idempotency_key": ""}),
    ("reservation_user_id_not_empty", {"user_id": ""}),
    ("reservation_amount_positive", {"amount": 0}),
    ("reservation_status_known", {**SETTLED, "status": "lost"}),
    ("reservation_settled_unless_open", SETTLED),
    ("reservation_settled_unless_open", {"status": "released"}),
    ("reservation_committed_names_its_transaction", {**COMMITTED, "transaction_id": None}),
    ("reservation_committed_names_its_transaction", {**COMMITTED, "committed_amount": None}),
    ("reservation_committed_names_its_transaction", {**COMMITTED, "committed_amount": 0}),
    ("reservation_committed_names_its_transaction", {**COMMITTED, "committed_amount": 6}),
    ("reservation_committed_names_its_transaction", {**COMMITTED, "status": "released"}),
    ("reservation_committed_names_its_transaction", {"committed_amount": 1}),
    ("reservation_committed_names_its_transaction", {"transaction_id": uuid4()}),
    (
        "reservation_committed_names_its_transaction",
        {**COMMITTED, "transaction_id": None, "committed_amount": None},
    ),
    ("reservation_status_known", {**SETTLED, "status": "open "}),
    ("reservation_settled_unless_open", {"status": "expired"}),
    ("reservation_expires_after_creation", {"expires_at": NOW}),
    ("reservation_actor_known", {"actor": "somebody"}),
    ("idempotency_key_not_empty", {"key": ""}),
    ("usage_credits_positive", {"credits_used": 0}),
    ("usage_transactions_positive", {"transactions": 0}),
    ("daily_total_credits_not_negative", {"credits_in": -1}),
    ("daily_total_credits_not_negative", {"credits_in": 1, "credits_out": -1}),
    ("daily_total_sums_transactions", {"transactions": 0}),
    ("daily_total_sums_transactions", {"credits_out": 0}),
    ("daily_revenue_not_negative", {"gone_cents": -1}),
    ("daily_revenue_not_negative", {"recovered_cents": -1}),
    ("daily_revenue_not_negative", {"sold_cents": 0}),
]
TABLE_OF = {
    constraint.name: model._meta.db_table
    for model in apps.get_app_config("credits").get_models()
    for constraint in model._meta.constraints
}
TABLES = {f'"credits"."{name}"': name for name in VALID}


def powerset(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return every selection of these names."""
    all_names = tuple(names)
    sizes = range(len(all_names) + 1)
    return [some for size in sizes for some in combinations(all_names, size)]


def run(sql: str, values: Any = None) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, values)


def insert(table: str, row: dict[str, Any]) -> None:
    columns = ", ".join(row)
    markers = ", ".join(["%s"] * len(row))
    run(f"INSERT INTO credits.{table} ({columns}) VALUES ({markers})", list(row.values()))


def test_every_constraint_of_these_tables_is_tried() -> None:
    of_these = {name for name, table in TABLE_OF.items() if table in TABLES}

    tried_below = {"reservation_transaction_commits_one"}
    assert {name for name, _ in BROKEN} | tried_below == of_these


@pytest.mark.parametrize("table", VALID)
@pytest.mark.breaks_the_books
def test_the_row_that_the_others_differ_from_is_valid(table: str) -> None:
    insert(table, VALID[table])


@pytest.mark.parametrize(("constraint", "wrong"), BROKEN)
def test_a_row_that_breaks_a_rule_is_refused(constraint: str, wrong: dict[str, Any]) -> None:
    table = TABLES[TABLE_OF[constraint]]
    ledger.grant("alice", Decimal(5), memo=Memo(), origin=SYSTEM, cause="the-cause")

    with pytest.raises(IntegrityError, match=f'constraint "{constraint}"'):
        insert(table, {**VALID[table], **wrong})


METERED = {"operation": "pdf_export", "metering": "{}"}


@pytest.mark.parametrize(
    ("table", "row", "constraint"),
    [
        ("transactions", SPENT, "transaction_operation_is_a_usage_with_its_price"),
        ("reservations", {}, "reservation_operation_has_its_price"),
    ],
)
@pytest.mark.parametrize("given", powerset({**PRICED, **METERED}))
@pytest.mark.breaks_the_books
def test_a_price_is_given_whole_or_not_at_all(
    table: str, row: dict[str, Any], constraint: str, given: tuple[str, ...]
) -> None:
    price = {column: {**PRICED, **METERED}[column] for column in given}
    whole = set(given) in ({}.keys(), PRICED.keys(), METERED.keys())

    with nullcontext() if whole else pytest.raises(IntegrityError, match=f'"{constraint}"'):
        insert(table, {**VALID[table], **row, **price})


def test_a_transaction_commits_one_reservation() -> None:
    give("alice", 10)
    taken = reservations.commit(hold("alice", 5).pk, origin=SYSTEM).reservation
    same = {**COMMITTED, "user_id": "alice", "transaction_id": taken.transaction_id}

    with pytest.raises(IntegrityError, match='constraint "reservation_transaction_commits_one"'):
        insert("reservations", {**VALID["reservations"], **same})


def test_two_users_may_have_one_cause() -> None:
    for user_id in ("alice", "bob"):
        ledger.grant(user_id, Decimal(5), memo=Memo(), origin=SYSTEM, cause="the-cause")

    causes = Transaction.objects.order_by("user_id").values_list("user_id", "cause")
    assert list(causes) == [("alice", "the-cause"), ("bob", "the-cause")]


@pytest.mark.parametrize(
    ("constraint", "statement"),
    [
        (
            "transaction_related_is_of_the_same_user",
            "UPDATE credits.transactions SET related_id = %(theirs)s WHERE id = %(own)s",
        ),
        (
            "reservation_transaction_is_of_the_same_user",
            "UPDATE credits.reservations SET transaction_id = %(theirs)s WHERE status='committed'",
        ),
    ],
)
def test_a_row_refers_to_transactions_of_its_own_user_only(constraint: str, statement: str) -> None:
    theirs = give("bob", 5).transaction.pk
    give("alice", 10)
    own = reservations.commit(hold("alice", 5).pk, origin=SYSTEM).reservation.transaction_id
    run("SET CONSTRAINTS ALL IMMEDIATE")
    run("ALTER TABLE credits.transactions DISABLE TRIGGER transactions_are_append_only")

    with pytest.raises(IntegrityError, match=f'constraint "{constraint}"'):
        run(statement, {"theirs": theirs, "own": own})

    run("ALTER TABLE credits.transactions ENABLE ALWAYS TRIGGER transactions_are_append_only")


@pytest.mark.parametrize("role", ["origin", "replica", "local"])
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE credits.transactions SET amount = amount",
        "UPDATE credits.transactions SET description = ''",
        "DELETE FROM credits.transactions",
        "TRUNCATE credits.transactions CASCADE",
    ],
)
def test_history_is_only_added_to(role: str, change: str) -> None:
    give("alice", 10)
    run("SET CONSTRAINTS ALL IMMEDIATE")
    run(f"SET LOCAL session_replication_role = {role}")

    with pytest.raises(IntegrityError, match="transactions are append-only"):
        run(change)

    assert Transaction.objects.get().description == "for the test"


ERASURE = (
    "UPDATE credits.transactions SET user_id = 'erased:1', cause = 'erased:' || id,"
    " description = '', metadata = NULL, request_id = NULL, idempotency_key = NULL"
)


@pytest.mark.breaks_the_books
def test_an_erasure_removes_texts_and_leaves_their_digest() -> None:
    give("alice", 10)
    run("SET CONSTRAINTS ALL IMMEDIATE")

    run(ERASURE)

    row = Transaction.objects.get()
    assert (row.user_id, row.description, len(bytes(row.erased_digest or b""))) == (
        "erased:1",
        "",
        32,
    )


@pytest.mark.parametrize(
    "change",
    [
        "description = 'other'",
        "user_id = 'alice'",
        "metadata = '{}'",
        "request_id = 'r'",
        "idempotency_key = 'k'",
        "cause = 'grant:other'",
    ],
)
def test_an_erasure_leaves_no_text(change: str) -> None:
    give("alice", 10)
    column = change.partition(" ")[0]
    others = [part for part in ERASURE.partition("SET ")[2].split(", ") if column not in part]

    with pytest.raises(IntegrityError, match="transactions are append-only"):
        run(f"UPDATE credits.transactions SET {', '.join([*others, change])}")


def test_an_erasure_keeps_a_cause_that_is_made_of_ids() -> None:
    give("alice", 10)
    reservations.commit(hold("alice", 5).pk, origin=SYSTEM)

    with pytest.raises(IntegrityError, match="transactions are append-only"):
        run(f"{ERASURE} WHERE number = 2")


@pytest.mark.parametrize(
    "change",
    [
        *(
            f"{ERASURE}, {column} = {column} + 1"
            for column in ("number", "amount", "balance_before", "balance_after", "spent_change")
        ),
        f"{ERASURE}, id = gen_random_uuid()",
        f"{ERASURE}, type = 'adjustment'",
        f"{ERASURE}, operation = 'ai_chat', unit_cost = 1, quantity = 1",
        f"{ERASURE}, created_at = created_at + interval '1 ms'",
        f"{ERASURE}, recorded_at = now()",
        f"{ERASURE}, related_id = id",
        f"{ERASURE}, app_id = 'other'",
        f"{ERASURE}, actor = 'stripe'",
        f"{ERASURE}, digest = sha256('')",
        f"{ERASURE}, attribution_digest = sha256('')",
        "DELETE FROM credits.transactions",
        "TRUNCATE credits.transactions CASCADE",
    ],
)
def test_an_erasure_changes_no_number_time_type_or_link(change: str) -> None:
    give("alice", 10)
    spend("alice", 4)
    before = list(Transaction.objects.order_by("number").values())
    run("SET CONSTRAINTS ALL IMMEDIATE")

    with pytest.raises(IntegrityError, match="transactions are append-only"):
        run(change)

    assert list(Transaction.objects.order_by("number").values()) == before


def schema() -> list[tuple[str, ...]]:
    """Return the definitions of all columns, constraints, indexes, functions and triggers."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT table_name, column_name, data_type || coalesce(column_default, '')
                   FROM information_schema.columns WHERE table_schema = 'credits'
               UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
                   FROM pg_constraint WHERE connamespace = to_regnamespace('credits')
               UNION ALL SELECT tablename, indexname, indexdef
                   FROM pg_indexes WHERE schemaname = 'credits'
               UNION ALL SELECT 'function', proname, prosrc
                   FROM pg_proc WHERE pronamespace = to_regnamespace('credits')
               UNION ALL SELECT tgrelid::regclass::text, tgname,
                                tgenabled::text || pg_get_triggerdef(t.oid)
                   FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
                   WHERE relnamespace = to_regnamespace('credits') AND NOT tgisinternal
               ORDER BY 1, 2, 3"""
        )
        return list(cursor.fetchall())


@pytest.mark.slow
def test_the_migrations_lead_down_to_nothing_and_up_again(settings: Any) -> None:
    settings.SERVICE_ROLE = Role(SERVICE_ROLE)
    before = schema()
    run("SET CONSTRAINTS ALL IMMEDIATE")

    call_command("migrate", "credits", "zero", verbosity=0)
    between = schema()
    call_command("migrate", verbosity=0)

    assert len(before) > 80
    assert between == []
    assert schema() == before
