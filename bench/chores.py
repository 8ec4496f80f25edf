"""Durations of commands over a large ledger, and the size of its rows."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psycopg

from bench import database

TABLES = ("transactions", "usage_stats", "balances")
_SIZES = """
    SELECT pg_table_size(c.oid)::float8 / greatest(c.reltuples, 1),
           pg_indexes_size(c.oid)::float8 / greatest(c.reltuples, 1)
    FROM pg_class c WHERE c.oid = %s::regclass
"""


class Chore(NamedTuple):
    """A command line and its duration in seconds."""

    command: str
    seconds: float


class Size(NamedTuple):
    """Bytes per row of a table and of its indexes."""

    table: str
    heap: float
    indexes: float


def measure(url: str) -> list[Chore]:
    """Run each command once on the ledger at `url`. The last one erases the largest user."""
    with TemporaryDirectory(prefix="mana-credits-bench-") as folder:
        export = str(Path(folder) / "export.json")
        commands = (
            ("check_ledger",),
            ("check_ledger", "--changes"),
            ("check_ledger", "--user", database.USER),
            ("export_user", database.USER, "--output", export),
            ("erase_user", database.USER),
            ("erase_user", database.USER, "--apply"),
        )
        return [_timed(url, command) for command in commands]


def sizes(url: str) -> list[Size]:
    """Return the bytes per row of each large table."""
    with psycopg.connect(url) as connection:
        rows = [connection.execute(_SIZES, [f"credits.{name}"]).fetchone() for name in TABLES]
    return [Size(name, *row) for name, row in zip(TABLES, rows, strict=True) if row]


def _timed(url: str, command: tuple[str, ...]) -> Chore:
    began = time.monotonic()
    database.manage(url, *command)
    shown = " ".join(part for part in command if not part.startswith("/"))
    return Chore(shown, time.monotonic() - began)
