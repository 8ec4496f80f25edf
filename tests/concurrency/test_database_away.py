"""The database is frozen, down, read-only or without its standby: all waits are bounded."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool, PoolTimeout

from credits.postgresql import bounded_connection
from credits.postgresql.bounded_connection import OutcomeUnknown, bounded
from mana_credits import database
from mana_credits.dev.embedded_postgres import temporary_server
from tests.api import Caller, at_once, use
from tests.environment import SERVER
from tests.factories import give

LIMIT = 1
TOLERANCE = 30  # tolerance for a busy machine


@pytest.fixture(scope="module")
def own_server() -> Iterator[str]:
    """Run a PostgreSQL that tests may freeze and that may wait for a standby."""
    with temporary_server(**SERVER) as url, psycopg.connect(url, autocommit=True) as setup:
        setup.execute("CREATE TABLE things (id int PRIMARY KEY)")
        yield url


def limited(url: str) -> "psycopg.Connection[Any]":
    return bounded(LIMIT).connect(url, autocommit=True)


@contextmanager
def quickly() -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < TOLERANCE


@pytest.mark.slow
def test_a_statement_that_takes_too_long_is_cancelled(own_server: str) -> None:
    with closing(limited(own_server)) as line, quickly():
        with pytest.raises(errors.QueryCanceled):
            line.execute("SELECT pg_sleep(300)")

        assert line.closed


def test_a_quick_statement_is_answered(own_server: str) -> None:
    with closing(limited(own_server)) as line:
        assert line.execute("SELECT 1").fetchone() == (1,)


def backends(url: str, *others: int) -> list[int]:
    with psycopg.connect(url) as line:
        rows = line.execute("SELECT pid FROM pg_stat_activity WHERE pid <> ALL(%s)", [[*others]])
        return [pid for (pid,) in rows]


@pytest.mark.slow
def test_a_frozen_backend_is_given_up(own_server: str) -> None:
    with closing(limited(own_server)) as line, quickly():
        backend = line.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        try:
            with pytest.raises(OutcomeUnknown):
                line.execute("SELECT 1")
        finally:
            os.kill(backend, signal.SIGCONT)

        assert line.closed


@pytest.mark.slow
def test_a_deadline_of_a_block_is_kept_without_a_request_to_cancel(own_server: str) -> None:
    with (
        closing(psycopg.connect(own_server)),
        closing(bounded(0).connect(own_server)) as line,
        quickly(),
        bounded_connection.within(LIMIT),
        pytest.raises(OutcomeUnknown),
    ):
        line.execute("SELECT pg_sleep(300)")


def _wait_until_reloaded(url: str, name: str) -> None:
    """Wait until new commits wait for this standby."""
    shown = None
    while shown != (name,):
        with psycopg.connect(url, autocommit=True) as line:
            shown = line.execute("SHOW synchronous_standby_names").fetchone()
            # The checkpointer tells all backends, after it has read the settings as well.
            line.execute("CHECKPOINT")


@contextmanager
def standby_away(url: str) -> Iterator[None]:
    """Make commits wait for a standby that does not exist."""
    with psycopg.connect(url, autocommit=True) as line:
        line.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        line.execute("SELECT pg_reload_conf()")
        _wait_until_reloaded(url, "nobody")
        yield
        line.execute("ALTER SYSTEM RESET synchronous_standby_names")
        line.execute("SELECT pg_reload_conf()")


def rows(url: str) -> int:
    with psycopg.connect(url) as line:
        found = line.execute("SELECT count(*) FROM things").fetchone()
    assert found
    return int(found[0])


@pytest.mark.slow
@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_commit_that_no_standby_confirms_is_not_reported_as_done(
    own_server: str, in_transaction: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`statement_timeout` does not end this wait, and a cancelled commit reports success."""
    monkeypatch.setattr(bounded_connection, "COMMIT_SECONDS", LIMIT)
    before = rows(own_server)
    with standby_away(own_server), quickly():
        line = bounded(0 if in_transaction else LIMIT).connect(
            own_server,
            autocommit=not in_transaction,
            # The test server's command line switches it off.
            options="-c statement_timeout=500 -c synchronous_commit=on",
        )
        with closing(line):
            backend = line.info.backend_pid
            with pytest.raises(OutcomeUnknown):  # noqa: PT012
                line.execute("INSERT INTO things VALUES (%s)", [before])
                line.commit()
            assert line.closed
        deadline = time.monotonic() + TOLERANCE
        while backend in backends(own_server):  # otherwise each would keep its locks
            assert time.monotonic() < deadline
            time.sleep(0.05)

    assert rows(own_server) == before + 1


@pytest.mark.slow
def test_the_pool_of_a_request_gives_up_a_host_that_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        settings = database.settings_of(
            conninfo_to_dict(f"postgresql://u@127.0.0.1:{port}/x?connect_timeout=3"),
            session={"lock_timeout": "1s"},
            pool_size=2,
            prepared=True,
            behind_pooler=False,
            answer_seconds=12,
        )
        options = settings["OPTIONS"]

        with (
            quickly(),
            ConnectionPool(f"postgresql://u@127.0.0.1:{port}/x", **options["pool"]) as pool,
            pytest.raises(PoolTimeout),
        ):
            pool.getconn()

    assert (options["connect_timeout"], options["tcp_user_timeout"]) == ("3", "20000")
    assert (options["pool"]["timeout"], options["pool"]["reconnect_timeout"]) == (1.5, 2)


@pytest.mark.slow
@pytest.mark.usefixtures("committed")
def test_ready_does_not_wait_for_a_frozen_database(anonymous: Caller) -> None:
    def ask_over_a_frozen_connection(_: int) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (backend,) = cursor.fetchone()
        os.kill(backend, signal.SIGSTOP)
        try:
            return anonymous.get("/ready")
        finally:
            os.kill(backend, signal.SIGCONT)

    with quickly():
        (answer,) = at_once(1, ask_over_a_frozen_connection)

    assert (answer.status_code, answer.json()["missing"]) == (503, ["database"])


@pytest.mark.usefixtures("committed")
def test_a_read_only_database_is_503_and_its_connection_is_replaced(service: Caller) -> None:
    give("alice", 10)
    seen: list[Any] = []

    def spend(_: int) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = on")
        seen.append(connection.connection)
        refused = service.post("use", use(1, userId="alice", idempotencyKey="k1"))
        answered = service.post("use", use(1, userId="alice", idempotencyKey="k1"))
        return refused, answered

    ((refused, answered),) = at_once(1, spend)

    assert (refused.status_code, refused["Retry-After"]) == (503, "5")
    assert refused.json() == {
        "statusCode": 503,
        "message": "The service is unavailable for a moment",
        "code": "database_read_only",
    }
    assert answered.status_code == 200
    assert seen[0].closed


STATES = {
    "55P03": (503, "busy"),
    "40001": (503, "busy"),
    "40P01": (503, "busy"),
    "57014": (503, "database_timeout"),
    "57P01": (503, "database_unavailable"),
    "57P03": (503, "database_unavailable"),
    "53300": (503, "database_unavailable"),
    "53100": (503, "database_unavailable"),
    "08006": (503, "database_unavailable"),
    "25006": (503, "database_read_only"),
    "25P03": (503, "database_unavailable"),
    "42501": (500, "internal_error"),
    "22012": (500, "internal_error"),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.usefixtures("committed")
def test_each_state_of_the_database_has_its_status(service: Caller, state: str) -> None:
    def fail(*_: Any, **__: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$")

    service._client.raise_request_exception = False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("credits.ledger.balance_of", fail)
        (answer,) = at_once(1, lambda _: service.get("balance/alice"))

    assert (answer.status_code, answer.json()["code"]) == STATES[state]
    assert ("Retry-After" in answer.headers) == (answer.status_code == 503)
