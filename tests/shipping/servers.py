"""The servers around the service, on loopback and free ports."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from mana_credits.dev.embedded_postgres import FOR_TESTS, UNPRIVILEGED, program, temporary_server
from tests.loopback import free_port

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "for-the-test"
START_SECONDS = 15
PLAIN_USER = UNPRIVILEGED  # as for the embedded PostgreSQL, which has its own socket


def manage(database: str, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run `manage.py` on this database."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "manage.py", *command],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database, **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


@contextmanager
def postgres(*, migrated: bool = True) -> Iterator[str]:
    """Run PostgreSQL with the database `mana_credits` of the role `mana_owner`. Yield its socket.

    The service connects as `mana`.
    """
    with temporary_server(**FOR_TESTS) as owner:
        socket_folder = str(conninfo_to_dict(owner)["host"])
        with psycopg.connect(owner, autocommit=True) as connection:
            for role in ("mana", "mana_owner"):
                connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
        create_database(socket_folder, "mana_credits")
        if migrated:
            owner_url = url_of(socket_folder, user="mana_owner")
            done = manage(
                url_of(socket_folder), "migrate", "-v0", MIGRATIONS_DATABASE_URL=owner_url
            )
            assert done.returncode == 0, done.stderr
        yield socket_folder


def create_database(socket_folder: str, name: str) -> None:
    """Create an empty database of the role `mana_owner`."""
    owner = f"postgresql://postgres@/postgres?host={quote(socket_folder)}"
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} OWNER mana_owner")


def run_postgres(name: str, *arguments: str) -> None:
    """Run a program of the embedded PostgreSQL, which has the server's version."""
    subprocess.run([str(program(name)), *arguments], check=True)


def url_of(place: str | int, database: str = "mana_credits", *, user: str = "mana") -> str:
    """Return the URL of a database at a socket folder or a loopback port."""
    where = f"host=127.0.0.1&port={place}" if isinstance(place, int) else f"host={quote(place)}"
    return f"postgresql://{user}:{PASSWORD}@/{database}?{where}"


def pgbouncer_version() -> tuple[int, ...]:
    printed = subprocess.run(
        [executable("pgbouncer"), "--version"], check=True, capture_output=True, text=True
    ).stdout
    return tuple(int(part) for part in printed.split()[1].split("."))


@contextmanager
def pgbouncer(socket_folder: str, folder: Path, **changed: str) -> Iterator[int]:
    """Run PgBouncer with `ops/pgbouncer.ini` on other paths and ports. Yield its port.

    `changed` overrides values of the file.
    """
    port = free_port()
    users = folder / "userlist.txt"
    users.write_text(f'"mana" "{PASSWORD}"\n')
    text = (ROOT / "ops/pgbouncer.ini").read_text()
    text = text.replace("host=127.0.0.1 port=5432", f"host={socket_folder}")
    changed = {"listen_port": str(port), "auth_file": str(users), **changed}
    for name, value in changed.items():
        text, count = re.subn(rf"(?m)^;?{name} = .*$", f"{name} = {value}", text)
        assert count == 1, name
    text += f"unix_socket_dir =\nlogfile = {folder}/pgbouncer.log\n"
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(text)
    with process([executable("pgbouncer"), "--quiet", str(configuration)], folder, port):
        yield port


@contextmanager
def process(command: list[str], folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `command` as an unprivileged user during the context. Wait for its port."""
    user = PLAIN_USER if os.geteuid() == 0 else None
    if user:
        _hand_over(folder, user)
    running = subprocess.Popen(command, user=user, cwd=folder)
    try:
        _wait_for(port, running)
        yield running
    finally:
        running.terminate()
        running.wait(timeout=30)


def executable(name: str) -> str:
    """Return the path of a Debian program. Servers are in sbin, which may not be in PATH."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert found, f"{name} is missing: `make test-shipping` installs it"
    return found


def _hand_over(folder: Path, user: str) -> None:
    """Give the folder to the user. pytest makes it private."""
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, user)
    for path in folder.parents:
        if path == Path(tempfile.gettempdir()):
            return
        path.chmod(path.stat().st_mode | 0o011)


def _wait_for(port: int, running: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert running.poll() is None, "the server did not start"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("nobody listens")
