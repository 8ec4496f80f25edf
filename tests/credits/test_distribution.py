"""`manage.py distribute`, with stand-ins for the functions of Citus that record their calls."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from credits.ledger import distribution
from tests.credits.test_schema import OF_ONE_USER
from tests.factories import give

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("owner")]

# What distribution.py calls of Citus 13. Each call is one line of `public.calls`, in its order.
STAND_INS = """
    CREATE TABLE public.calls (id serial, call text);
    CREATE TABLE public.pg_dist_partition (logicalrelid regclass);
    CREATE FUNCTION public.create_reference_table(t regclass) RETURNS void LANGUAGE sql AS $$
        INSERT INTO public.pg_dist_partition VALUES (t);
        INSERT INTO public.calls (call) VALUES ('reference credits.' || t) $$;
    CREATE FUNCTION public.create_distributed_table(t regclass, c text, colocate_with text)
        RETURNS void LANGUAGE sql AS $$
        INSERT INTO public.pg_dist_partition VALUES (t);
        INSERT INTO public.calls (call)
        VALUES ('credits.' || t || ' by ' || c || ' with ' || colocate_with) $$;
    CREATE FUNCTION public.create_distributed_function(
        f regprocedure, p text DEFAULT '', colocate_with text DEFAULT ''
    ) RETURNS void LANGUAGE sql AS $$
        INSERT INTO public.calls (call)
        VALUES (split_part(f::text, '(', 1) || ' by ' || p || ' with ' || colocate_with) $$;
    CREATE FUNCTION public.undistribute_table(t regclass, cascade_via_foreign_keys boolean)
        RETURNS void LANGUAGE sql AS $$
        DELETE FROM public.pg_dist_partition WHERE logicalrelid = t $$;
"""
FOREIGN_KEYS = "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"


@pytest.fixture
def cluster(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(STAND_INS)


def run(*options: str) -> list[str]:
    out = StringIO()
    call_command("distribute", *options, stdout=out)
    return out.getvalue().splitlines()


def calls() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT call FROM public.calls ORDER BY id")
        return [call for (call,) in cursor.fetchall()]


def announcements() -> list[tuple[str, str]]:
    return distribution._rows(distribution._ANNOUNCEMENTS, tables=list(distribution.TABLES))


def foreign_keys() -> int:
    with connection.cursor() as cursor:
        cursor.execute(FOREIGN_KEYS)
        count: int = cursor.fetchone()[0]
        return count


def test_a_database_without_citus_is_named() -> None:
    with pytest.raises(CommandError, match="has no Citus extension"):
        run()


def test_the_tables_of_users_go_by_the_user_to_one_place(cluster: None) -> None:
    run()

    tables = [call for call in calls() if " by user_id " in call]
    assert tables[0] == "credits.balances by user_id with default"
    assert {call.split(" ")[0] for call in tables} == OF_ONE_USER
    assert all(call.endswith("with credits.balances") for call in tables[1:])
    assert "reference credits.operations" in calls()


def test_calls_of_the_verbs_go_to_the_server_of_the_user(cluster: None) -> None:
    run()

    by_user = {call.split(" ")[0] for call in calls() if " by p_user_id with " in call}
    assert by_user == {"post_transaction", "reserve"}
    assert "price by  with " in calls()


def test_no_foreign_key_leads_from_the_coordinator_to_a_shard(cluster: None) -> None:
    told = run()

    assert not distribution._rows(
        distribution._FOREIGN_KEYS_TO_SHARDS, tables=list(distribution.TABLES)
    )
    assert [line for line in told if "purchase_transaction_is_of_the_same_user" in line]


def test_no_trigger_of_a_shard_writes_to_the_coordinator(cluster: None) -> None:
    before = announcements()
    told = run()

    assert announcements() == []
    assert [line for line in told if "transaction_is_announced" in line]

    run("--undo")

    assert announcements() == before != []


def test_a_second_run_changes_nothing(cluster: None) -> None:
    run()
    before = calls()

    assert run() == ["Nothing to change."]
    assert calls() == before


def test_an_empty_ledger_comes_back_with_its_foreign_keys(cluster: None) -> None:
    before = foreign_keys()
    run()
    assert foreign_keys() == before - 4

    run("--undo")

    assert foreign_keys() == before
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM public.pg_dist_partition")
        assert cursor.fetchone() == (0,)


def test_what_is_not_distributed_needs_no_undo(cluster: None) -> None:
    assert run("--undo") == ["Nothing to change."]


def test_a_ledger_with_rows_stays_distributed(cluster: None) -> None:
    run()
    give("alice", 5)

    with pytest.raises(CommandError, match="has transactions"):
        run("--undo")
