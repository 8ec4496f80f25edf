"""With several hosts in DATABASE_URL, the pool follows the writable server."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import psycopg
import pytest
from django.db import OperationalError
from django.db.utils import ConnectionHandler
from psycopg.conninfo import conninfo_to_dict

from mana_credits import database
from mana_credits.dev.embedded_postgres import FOR_TESTS, temporary_server

READ_ONLY = "default_transaction_read_only"
ALIASES = count()
POOL_SIZE = 2


@pytest.fixture
def servers(django_db_blocker: Any) -> Iterator[tuple[str, str]]:
    """Run two servers, of which only the first is writable."""
    with (
        django_db_blocker.unblock(),
        temporary_server(**FOR_TESTS) as one,
        temporary_server(**FOR_TESTS) as two,
    ):
        let(two, read_only=True)
        yield one, two


def let(server: str, *, read_only: bool) -> None:
    """Make a server writable or read-only, as a standby is, and end its connections."""
    with psycopg.connect(server, autocommit=True) as line:
        line.execute(f"ALTER SYSTEM SET {READ_ONLY} = {'on' if read_only else 'off'}")
        line.execute("SELECT pg_reload_conf()")
        line.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )


@contextmanager
def connected(*servers: str) -> Iterator[Any]:
    """Yield Django's connection to the writable server."""
    hosts = ",".join(str(conninfo_to_dict(server)["host"]) for server in servers)
    settings = database.settings_of(
        {
            "host": hosts,
            "port": ",".join(["5432"] * len(servers)),
            "user": "postgres",
            "dbname": "postgres",
            "target_session_attrs": "read-write",
            "connect_timeout": "3",
        },
        session={"lock_timeout": "5s"},
        pool_size=POOL_SIZE,
        prepared=True,
        behind_pooler=False,
        answer_seconds=0,
    )
    alias = f"several hosts {next(ALIASES)}"  # Django stores pools by this name
    line: Any = ConnectionHandler({"default": {}, alias: settings})[alias]
    try:
        yield line
    finally:
        line.close()
        line.close_pool()


def place(line: Any) -> str:
    """Return the folder of the connected server."""
    with line.cursor() as cursor:
        cursor.execute("SHOW unix_socket_directories")
        return str(cursor.fetchone()[0]).strip('"')


def place_again(line: Any) -> str:
    """Return the connected server's folder after the pool's old connections are gone."""
    for _ in range(POOL_SIZE):
        try:
            return place(line)
        except OperationalError:
            line.close_if_unusable_or_obsolete()
    return place(line)


def folder(server: str) -> str:
    return str(conninfo_to_dict(server)["host"])


@pytest.mark.slow
def test_the_one_that_can_be_written_to_is_taken_wherever_it_stands(
    servers: tuple[str, str],
) -> None:
    one, two = servers

    with connected(one, two) as line, connected(two, one) as turned:
        assert place(line) == place(turned) == folder(one)


@pytest.mark.slow
def test_the_pool_follows_when_another_server_takes_over(servers: tuple[str, str]) -> None:
    one, two = servers
    with connected(one, two) as line:
        before = place(line)
        let(one, read_only=True)
        let(two, read_only=False)

        after = place_again(line)

    assert (before, after) == (folder(one), folder(two))
