"""The role of the service reads everything, and changes the ledger through functions alone."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from psycopg import Connection

from credits.controls import account_settings
from credits.controls.account_settings import NewSettings
from credits.ledger import distribution, grants
from credits.ledger.grants import PROTECTED, RoleMissing
from credits.ledger.posting import Origin
from credits.models import Balance, SettingsChange, StaffAction, Transaction
from credits.postgresql.service_role import Role
from mana_credits import database, database_role
from mana_credits.dev.database_roles import SERVICE_ROLE, service_url
from mana_credits.privacy import erasure
from tests.factories import give, hold, spend
from tests.owner import as_owner
from tests.running import database_of_the_test

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("committed")]

T = "credits.transactions"
B = "credits.balances"


@pytest.fixture
def role(committed: None) -> Iterator[Connection[Any]]:
    """A connection of the service's role, and a user with a history, an audit and a reservation."""
    give("alice", 100)
    spend("alice", 10)
    hold("alice", 5)
    with as_owner():
        StaffAction.objects.create(at=datetime.now(UTC), operator="ada", action="x", note="n")
    limit(10)
    with psycopg.connect(service_url(database_of_the_test()), autocommit=True) as opened:
        yield opened


def state() -> list[Any]:
    return [
        list(Balance.objects.values()),
        list(Transaction.objects.order_by("number").values()),
        list(StaffAction.objects.values()),
        list(SettingsChange.objects.values()),
    ]


def limit(amount: int, *, now: datetime | None = None) -> None:
    now = now or datetime.now(UTC)
    wanted = NewSettings(None, Decimal(amount), {})
    account_settings.save("alice", wanted, origin=Origin("user", request_id="r-1"), now=now)


FORGERIES = [
    f"ALTER TABLE {T} DISABLE TRIGGER ALL",
    f"DROP TRIGGER transactions_are_append_only ON {T}",
    (
        f"CREATE TRIGGER mine BEFORE INSERT ON {T} FOR EACH ROW"
        " EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    ),
    f"UPDATE {B} SET posted = 1000, total_earned = 1000 WHERE user_id = 'alice'",
    f"DELETE FROM {B}",
    f"INSERT INTO {T} SELECT * FROM {T}",
    f"COPY {T} FROM STDIN",
    (
        f"MERGE INTO {T} t USING (SELECT 1) s ON false WHEN NOT MATCHED THEN DO NOTHING"
        " WHEN MATCHED THEN DELETE"
    ),
    f"SELECT * FROM {T} FOR UPDATE",
    f"WITH gone AS (DELETE FROM {T} RETURNING *) SELECT * FROM gone",
    f"TRUNCATE {T} CASCADE",
    "DELETE FROM credits.staff_actions",
    "INSERT INTO credits.staff_actions SELECT * FROM credits.staff_actions",
    (
        "UPDATE credits.staff_actions SET note = '', ticket = '', request_id = '',"
        " before = '{}', after = '{}'"
    ),
    "DELETE FROM credits.settings_changes",
    "TRUNCATE credits.settings_changes",
    "INSERT INTO credits.settings_changes SELECT * FROM credits.settings_changes",
    "UPDATE credits.settings_changes SET after = '{}'",
    (
        "UPDATE credits.settings_changes SET user_id = 'erased:1', request_id = NULL,"
        " before = '{}', after = '{}'"
    ),
    "DROP TRIGGER settings_changes_are_append_only ON credits.settings_changes",
    "SELECT credits.erase_settings_changes('alice', 'mallory')",
    "UPDATE credits.reservations SET amount = 1",
    "UPDATE credits.credit_lots SET remaining = 1",
    "INSERT INTO credits.lot_uses VALUES ('alice', gen_random_uuid(), gen_random_uuid(), 1, 0)",
    "SELECT credits.fill_lot('alice', gen_random_uuid(), 1)",
    "DELETE FROM credits.idempotency_keys",
    "DELETE FROM credits.anchors",
    "UPDATE credits.anchors SET digest = ''",
    "SET session_replication_role = replica",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres",
    "ALTER ROLE mana_credits_service SUPERUSER",
    (
        "CREATE OR REPLACE FUNCTION credits.price(p_operation text, p_quantity integer,"
        " p_units jsonb, OUT unit_cost numeric, OUT amount numeric, OUT metering jsonb,"
        " OUT refusal text) LANGUAGE sql AS 'SELECT 1.0, 1.0, NULL::jsonb, NULL'"
    ),
    "ALTER FUNCTION credits.price RESET ALL",
    "DROP FUNCTION credits.price",
    "CREATE FUNCTION public.abs(numeric) RETURNS numeric LANGUAGE sql AS 'SELECT 0.0'",
    "CREATE FUNCTION credits.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    f"CREATE RULE mine AS ON INSERT TO {T} DO INSTEAD NOTHING",
    f"CREATE POLICY mine ON {T} USING (true)",
    f"ALTER TABLE {T} ALTER digest DROP NOT NULL",
    f"ALTER TABLE {T} OWNER TO mana_credits_service",
    "DROP SCHEMA credits CASCADE",
    "CREATE SCHEMA mine",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "INSERT INTO django_migrations (app, name, applied) VALUES ('credits', 'x', now())",
    "SELECT setval('credits.purchase_numbers', 1)",
    "SELECT credits.erase_balance('alice', 'erased:1', false)",
    "SELECT credits.erase_balance('alice', 'bob', false)",
    "SELECT credits.erase_balance('alice', 'erased:' || gen_random_uuid(), false)",
    "SELECT credits.erase_transactions('alice', 'mallory', 1, 9)",
    f"SELECT credits.delete_key('alice', (SELECT id FROM {T} LIMIT 1))",
]


@pytest.mark.parametrize("statement", FORGERIES)
def test_the_service_cannot_forge(role: Connection[Any], statement: str) -> None:
    before = state()

    with pytest.raises(psycopg.Error) as refused:
        role.execute(statement)

    kinds = (
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.IntegrityConstraintViolation,
    )
    assert isinstance(refused.value, kinds), refused.value
    assert state() == before


def test_the_service_grants_itself_nothing(role: Connection[Any]) -> None:
    role.execute(f"GRANT ALL ON {T}, {B} TO {SERVICE_ROLE}")  # a warning, and no privilege

    parameters = {"conninfo": database_of_the_test(), "user": SERVICE_ROLE}
    assert grants.faults(parameters) == []


def test_a_shadow_in_a_temporary_schema_is_not_used(role: Connection[Any]) -> None:
    for shadow in (
        "CREATE FUNCTION pg_temp.abs(numeric) RETURNS numeric LANGUAGE sql AS 'SELECT 0.0'",
        "CREATE FUNCTION pg_temp.coalesced(numeric) RETURNS numeric LANGUAGE sql AS 'SELECT 0.0'",
        "SET search_path = pg_temp, credits, pg_catalog",
    ):
        try:
            role.execute(shadow)
        except psycopg.errors.InsufficientPrivilege:
            continue  # it may not even make temporary objects

    answer = role.execute(
        "SELECT outcome FROM credits.post_transaction(gen_random_uuid(), 'alice', 'system',"
        " p_type => 'usage', p_amount => -99999, p_counts_as => 'spent', p_app_id => 'x',"
        " p_description => 'x')"
    ).fetchone()

    assert answer == ("insufficient_credits",)


def test_keys_of_the_last_day_cannot_be_deleted(role: Connection[Any]) -> None:
    role.execute(
        "SELECT credits.post_transaction(gen_random_uuid(), 'alice', 'system', p_type => 'usage',"
        " p_amount => -1, p_counts_as => 'spent', p_app_id => 'x', p_description => 'x',"
        " p_key => 'k', p_fingerprint => 'f')"
    )

    deleted = role.execute("SELECT credits.delete_old_keys(now() + interval '1 year', 100)")

    assert deleted.fetchone() == (0,)


def test_an_act_is_recorded_at_the_databases_time(role: Connection[Any]) -> None:
    moment = role.execute(
        """SELECT credits.record_staff_action(
            '{"id": "0197f0a0-0000-7000-8000-000000000001", "at": "2001-01-01", "operator": "ada",
              "action": "x", "subject": "", "reason": "", "note": "", "ticket": "", "before": {},
              "after": {}, "address": "", "request_id": ""}')"""
    ).fetchone()

    assert moment is not None
    assert abs((moment[0] - datetime.now(UTC)).total_seconds()) < 60


def test_a_change_of_settings_is_recorded_at_the_databases_time() -> None:
    limit(10, now=datetime(2001, 1, 1, tzinfo=UTC))

    at = SettingsChange.objects.get().changed_at

    assert abs((at - datetime.now(UTC)).total_seconds()) < 60


ERASED = "UPDATE credits.settings_changes SET request_id = NULL, before = '{}', after = '{}'"


@pytest.mark.parametrize(
    "verb",
    [
        "UPDATE credits.settings_changes SET after = before",
        "DELETE FROM credits.settings_changes",
        "TRUNCATE credits.settings_changes",
        ERASED,
        f"{ERASED}, user_id = 'mallory'",
        f"{ERASED}, user_id = 'erased:1', changed_at = now()",
        f"{ERASED}, user_id = 'erased:1', actor = 'system'",
        f"{ERASED}, user_id = 'erased:1', subject = 'auto_top_up'",
        "UPDATE credits.settings_changes SET user_id = 'erased:1'",
    ],
)
def test_the_owner_changes_no_record_of_settings(verb: str) -> None:
    limit(10)
    before = state()

    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
        as_owner(),
    ):
        cursor.execute(verb)

    assert state() == before


def test_an_erasure_blanks_the_record_of_settings() -> None:
    give("alice", 100)
    limit(10)
    (at,) = SettingsChange.objects.values_list("changed_at", flat=True)

    erased = erasure.erase_rows("alice")

    kept = SettingsChange.objects.values_list("user_id", "before", "after", "request_id", "actor")
    assert erased.rows["changes of settings"] == 1
    assert list(kept) == [(erased.pseudonym, {}, {}, None, "user")]
    assert SettingsChange.objects.get().changed_at == at


def test_the_service_posts_and_erases() -> None:
    give("alice", 100)
    spend("alice", 10)
    hold("alice", 5)

    erased = erasure.erase_rows("alice")

    assert (erased.rows["transactions"], erased.rows["balances"]) == (2, 1)
    assert Balance.objects.get().user_id == erased.pseudonym


@pytest.mark.parametrize(
    ("user", "sentence"),
    [("postgres", "The role postgres is a superuser"), (SERVICE_ROLE, None)],
)
def test_a_role_that_may_too_much_is_named(user: str, sentence: str | None) -> None:
    parameters = {"conninfo": database_of_the_test(), "user": user}

    assert grants.faults(parameters) == ([sentence] if sentence else [])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("ALTER ROLE {odd} CREATEROLE", "The role {odd} may create roles or ignore row security"),
        (
            "ALTER TABLE credits.anchors OWNER TO {odd}",
            "The role {odd} owns credits.anchors, or is",
        ),
        ("GRANT UPDATE ON credits.balances TO {odd}", "The role {odd} may write credits.balances"),
    ],
)
def test_an_odd_role_is_named(owner: None, change: str, sentence: str) -> None:
    odd = f"odd_{os.getpid()}"  # roles are the server's, so processes of tests share them
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {odd} LOGIN IN ROLE {SERVICE_ROLE}")
        try:
            cursor.execute(change.format(odd=odd))
            found = grants.faults({"conninfo": database_of_the_test(), "user": odd})
        finally:
            cursor.execute("ALTER TABLE credits.anchors OWNER TO CURRENT_USER")
            cursor.execute(f"DROP OWNED BY {odd}; DROP ROLE {odd}")

    expected = sentence.format(odd=odd)
    assert [text[: len(expected)] for text in found] == [expected]


def test_a_database_that_is_away_has_no_faults() -> None:
    assert grants.faults({"host": "127.0.0.1", "port": "9", "connect_timeout": 1}) == []


def test_an_empty_database_has_no_faults() -> None:
    parameters = {"conninfo": database_of_the_test(), "dbname": "template1"}

    assert grants.faults(parameters) == []


def test_an_owner_that_is_also_the_service_gets_no_grants(owner: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        (name,) = cursor.fetchone()

    grants.apply(Role(name))

    assert grants.faults({"conninfo": database_of_the_test()}) == [
        f"The role {name} is a superuser"
    ]


def test_a_missing_role_is_created_only_by_who_may() -> None:
    with pytest.raises(RoleMissing, match="CREATE ROLE nobody_yet LOGIN"):
        grants.apply(Role("nobody_yet"))


@pytest.mark.parametrize(
    "command",
    [
        ("import_legacy", "--source=postgresql://localhost:9/x"),
        ("backfill_balances", "--apply"),
        ("backfill_usage_stats",),
        ("distribute",),
    ],
)
def test_a_command_that_needs_the_owner_says_so(command: tuple[str, ...]) -> None:
    sentence = f"^{command[0]} changes the ledger itself and needs the owner of its tables"

    with pytest.raises(CommandError, match=sentence):
        call_command(*command)


def test_migrate_grants_the_role_of_the_service(owner: None, settings: Any) -> None:
    settings.SERVICE_ROLE = Role(SERVICE_ROLE)
    with connection.cursor() as cursor:
        cursor.execute(f"GRANT DELETE ON {B} TO {SERVICE_ROLE}")

    call_command("migrate", verbosity=0)

    assert grants.faults({"conninfo": database_of_the_test(), "user": SERVICE_ROLE}) == []


def test_migrate_says_that_the_role_is_missing(settings: Any) -> None:
    settings.SERVICE_ROLE = Role("nobody_yet")

    with pytest.raises(CommandError, match="Run: CREATE ROLE nobody_yet LOGIN;"):
        call_command("migrate", verbosity=0)


def test_a_missing_role_gets_the_password_of_the_url(owner: None) -> None:
    grants.apply(Role("new_role", "it's a secret"))

    with connection.cursor() as cursor:
        cursor.execute("SELECT rolcanlogin, rolsuper FROM pg_roles WHERE rolname = 'new_role'")
        made = cursor.fetchone()
        cursor.execute("SELECT rolpassword LIKE 'SCRAM%' FROM pg_authid WHERE rolname = 'new_role'")
        (has_password,) = cursor.fetchone()
        cursor.execute("DROP OWNED BY new_role; DROP ROLE new_role")
    assert (made, has_password) == ((True, False), True)


def test_the_check_names_a_role_that_may_too_much() -> None:
    messages = database_role.service_role(None, databases=["default"])

    assert [(one.id, one.msg) for one in messages] == [
        ("mana_credits.E013", "The role postgres is a superuser.")
    ]
    assert database_role.service_role(None, databases=[]) == []


def test_the_check_names_a_database_that_does_not_answer(settings: Any) -> None:
    assert database_role.reachable(None, databases=["default"]) == []

    elsewhere = settings.DATABASES["default"] | {"HOST": "127.0.0.1", "PORT": "9"}
    with patch.dict(settings.DATABASES, default=elsewhere):
        (found,) = database_role.reachable(None, databases=["default"])

    assert (found.id, found.is_serious()) == ("mana_credits.W014", False)
    assert found.msg.startswith("The database in DATABASE_URL cannot be asked: ")
    assert database_role.reachable(None, databases=[]) == []


def test_a_cluster_without_the_setting_is_found(owner: None, settings: Any) -> None:
    assert database_role.cluster(None, databases=["default"]) == []
    with connection.cursor() as cursor:
        # As Citus names it, with the rows that it would have.
        cursor.execute("CREATE TABLE public.pg_dist_partition (logicalrelid regclass)")
        try:
            of_other_tables = database_role.cluster(None, databases=["default"])
            cursor.execute("INSERT INTO pg_dist_partition VALUES ('credits.balances')")
            found = database_role.cluster(None, databases=["default"])
            others = database_role.cluster(None, databases=[])
            settings.DATABASE_SHARDED = True
            known = database_role.cluster(None, databases=["default"])
        finally:
            cursor.execute("DROP TABLE public.pg_dist_partition")

    assert [one.id for one in found] == ["mana_credits.E015"]
    assert "DATABASE_SHARDED=1" in found[0].msg
    assert of_other_tables == others == known == []


def test_a_database_that_is_away_is_no_cluster() -> None:
    assert not distribution.is_distributed({"host": "127.0.0.1", "port": "9", "connect_timeout": 1})


def test_grants_can_be_applied_again(owner: None) -> None:
    grants.apply(Role(SERVICE_ROLE))

    parameters = {"conninfo": database_of_the_test(), "user": SERVICE_ROLE}
    assert grants.faults(parameters) == []
    assert len(PROTECTED) == 8


@pytest.mark.parametrize("command", ["migrate", "import_legacy"])
def test_commands_of_the_owner_connect_as_the_owner(command: str) -> None:
    service, owner = {"user": "service"}, {"user": "owner"}

    def chosen(*arguments: str, to: dict[str, str] | None) -> Any:
        return database.parts_for(["manage.py", *arguments], service=service, owner=to)["user"]

    assert chosen(command, to=owner) == "owner"
    assert chosen("worker", command, to=owner) == "service"
    assert chosen(command, to=None) == "service"


def test_an_owner_needs_no_grants(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        (owner,) = cursor.fetchone()

    grants.apply(Role(owner))  # would raise: nobody grants rights to the owner of everything
