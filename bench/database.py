"""The benchmark's databases: created for the run, filled by SQL, checked, dropped."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
from psycopg.conninfo import make_conninfo

from bench.environment import ENVIRONMENT
from mana_credits.dev import database_roles
from mana_credits.dev.embedded_postgres import temporary_server

SQL = Path("bench", "sql")
HERE = Path()  # the tree whose service is measured, unless another one is named
USERS = 10_000
USER = "user-1"  # the measured user with a long history, also the hot user


@contextmanager
def server() -> Iterator[str]:
    """Yield `DATABASE_URL`, or the URL of a new durable server for the duration of the context."""
    if url := os.environ.get("DATABASE_URL"):
        yield url
    else:
        with temporary_server() as url:
            yield url


@contextmanager
def database(server_url: str, name: str, tree: Path = HERE) -> Iterator[str]:
    """Create a migrated database with users who have credits. Yield its URL, drop it at the end."""
    name = f"mana_credits_bench_{name}_{os.getpid()}"
    _administer(server_url, f'CREATE DATABASE "{name}"')
    url = make_conninfo(server_url, dbname=name)
    try:
        manage(url, "migrate", "-v0", tree=tree)
        _run(url, tree / SQL / "seed.sql", users=USERS, user=USER)
        yield url
    finally:
        _administer(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


def grow(url: str, *, transactions: int, of_one_user: int) -> None:
    """Add usages over the past year: `transactions` for all users, `of_one_user` for one."""
    each = max(transactions // USERS, 1)
    _run(url, SQL / "grow.sql", users=f"user_id <> '{USER}'", each=each)
    _run(url, SQL / "grow.sql", users=f"user_id = '{USER}'", each=of_one_user)
    vacuum(url)


def vacuum(url: str) -> None:
    """Vacuum and analyse the tables, as autovacuum would."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        # Otherwise the checkpoint of the growth would run during the measurement.
        connection.execute("CHECKPOINT")


def books_close(url: str) -> bool:
    """Return whether `check_ledger` finds no discrepancy. It prints what it finds."""
    return manage(url, "check_ledger", check=False) == 0


def version(url: str) -> str:
    """Return the server's version."""
    with psycopg.connect(url) as connection:
        return str(connection.info.parameter_status("server_version")).partition(" ")[0]


def process(url: str) -> psutil.Process | None:
    """Return the PostgreSQL postmaster, or None if it runs on another machine."""
    with psycopg.connect(url) as connection:
        try:
            found = psutil.Process(connection.info.backend_pid).parent()
        except psutil.NoSuchProcess:
            return None
    return found if found and found.name().startswith("postgres") else None


def manage(url: str, *command: str, check: bool = True, tree: Path = HERE) -> int:
    """Run `manage.py` on the database at `url` and return its exit code."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "manage.py", *command],
        env={**ENVIRONMENT, **environment(url, tree)},
        cwd=tree,
        check=check,
    ).returncode


def environment(url: str, tree: Path) -> dict[str, str]:
    """Return the variables with a checkout's database roles. Earlier ones have the owner only."""
    has_roles = (tree / "credits/ledger/grants.py").exists()
    return database_roles.environment(url) if has_roles else {"DATABASE_URL": url}


def _administer(server_url: str, statement: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(statement.encode())


def _run(url: str, script: Path, **values: object) -> None:
    statements = script.read_text()
    for name, value in values.items():
        statements = statements.replace(f":{name}", str(value))
    with psycopg.connect(url) as connection:
        connection.execute(statements.encode())
