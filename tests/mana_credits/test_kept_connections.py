"""A thread keeps its database connection between requests while it works."""

import os
import runpy
import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from psycopg_pool import PoolTimeout

from mana_credits.database_backend import base
from mana_credits.database_backend.base import DatabaseWrapper
from tests.owner import as_owner

pytestmark = pytest.mark.django_db

CONFIGURATION = "mana_credits/gunicorn.conf.py"


@pytest.fixture
def line(settings: Any) -> Iterator[DatabaseWrapper]:
    """Return a thread's connection, from a pool of one connection that is kept."""
    settings.DATABASE_KEPT_SECONDS = 60
    chosen = {**connection.settings_dict}
    pool = {**chosen["OPTIONS"]["pool"], "min_size": 1, "max_size": 1, "timeout": 5}
    wrapper = DatabaseWrapper({**chosen, "OPTIONS": {**chosen["OPTIONS"], "pool": pool}}, "kept")
    yield wrapper
    wrapper.close()
    wrapper.close_pool()


def backend(line: DatabaseWrapper) -> int:
    """Return the backend process of the connection, as queried by a request."""
    with line.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def end_request(line: DatabaseWrapper) -> None:
    """Send Django's signals at the end of a request and the start of the next."""
    line.close_if_unusable_or_obsolete()


def test_the_connection_stays_with_the_thread(line: DatabaseWrapper) -> None:
    first = backend(line)

    end_request(line)

    assert line.connection is not None
    assert backend(line) == first


def test_it_goes_back_to_the_pool_after_its_time(line: DatabaseWrapper, settings: Any) -> None:
    settings.DATABASE_KEPT_SECONDS = 0.05
    first = backend(line)
    time.sleep(0.06)

    end_request(line)

    assert line.connection is None
    assert backend(line) == first  # the pool has kept it


def test_nothing_is_kept_without_a_time(line: DatabaseWrapper, settings: Any) -> None:
    settings.DATABASE_KEPT_SECONDS = 0
    backend(line)

    end_request(line)

    assert line.connection is None


def test_a_connection_that_the_server_closed_meanwhile_is_not_used(line: DatabaseWrapper) -> None:
    """No request fails after a restart of PostgreSQL while the connection was idle."""
    first = backend(line)
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
    time.sleep(base.CHECK_SECONDS)

    end_request(line)

    assert line.connection is None
    assert backend(line) != first


def test_a_busy_connection_is_not_checked_before_and_after_each_request(
    line: DatabaseWrapper,
) -> None:
    backend(line)
    time.sleep(base.CHECK_SECONDS)

    with patch.object(base, "_was_closed", return_value=False) as check:
        for _ in range(3):
            end_request(line)

    assert check.call_count == 1


def test_a_connection_that_failed_is_given_back(line: DatabaseWrapper) -> None:
    backend(line)
    line.connection.close()
    line.errors_occurred = True

    end_request(line)

    assert line.connection is None
    assert backend(line)


def test_the_pool_stays_the_bound(line: DatabaseWrapper) -> None:
    backend(line)

    with pytest.raises(PoolTimeout):
        line.pool.getconn(timeout=0.1)


@pytest.mark.parametrize(
    ("size", "threads", "kept"), [("8", "4", "60"), ("5", "4", "60"), ("4", "4", None)]
)
def test_the_web_server_keeps_connections_where_each_thread_has_one(
    size: str, threads: str, kept: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_POOL_SIZE", size)
    monkeypatch.setenv("WEB_THREADS", threads)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/nowhere")
    for name in ("LOCK_TIMEOUT", "STATEMENT_TIMEOUT", "ANSWER_SECONDS", "KEPT_SECONDS"):
        monkeypatch.setenv(f"DATABASE_{name}", "")
        monkeypatch.delenv(f"DATABASE_{name}")

    runpy.run_path(CONFIGURATION)

    assert os.environ.get("DATABASE_KEPT_SECONDS") == kept
