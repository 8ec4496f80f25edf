"""Databases of the earlier service, and writing rows to them."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg.conninfo import make_conninfo

SCHEMA = Path(__file__).with_suffix(".sql").read_text()

Row = dict[str, Any]


@contextmanager
def database(server: str, name: str) -> Iterator[str]:
    """Create an empty database of the earlier service. Yield its URL, drop it at the end."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
        try:
            url = make_conninfo(server, dbname=name)
            empty(url)
            yield url
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def empty(url: str) -> None:
    """Empty the earlier service's tables and drop everything else."""
    with psycopg.connect(url) as source:
        for (schema,) in source.execute(
            "SELECT quote_ident(nspname) FROM pg_namespace"
            " WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'"
        ).fetchall():
            source.execute(f"DROP SCHEMA {schema} CASCADE".encode())
        source.execute(b"CREATE SCHEMA public")
        source.execute(SCHEMA.encode())


class Rows:
    """Rows of the earlier service's tables. `flush` writes them to a database."""

    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self._tables: dict[str, dict[Any, Row]] = {}

    def id(self) -> str:
        return str(UUID(int=self.random.getrandbits(128), version=4))

    def put(self, table: str, *, key: Any = None, **fields: Any) -> Row:
        row = fields if key else {"id": self.id(), **fields}
        self.table(table)[key or row["id"]] = row
        return row

    def flush(self, url: str) -> None:
        """Write all rows, replacing those of an earlier flush."""
        with psycopg.connect(url) as source:
            for name, rows in self._tables.items():
                self._write(source, name, list(rows.values()))

    def hand_over(self, url: str) -> None:
        """Write all rows and clear them, so that memory use does not grow."""
        self.flush(url)
        for name, rows in self._tables.items():
            if name != "credits.packages":
                rows.clear()

    def table(self, name: str) -> dict[Any, Row]:
        return self._tables.setdefault(name, {})

    @staticmethod
    def _write(source: psycopg.Connection, name: str, rows: list[Row]) -> None:
        if not rows:
            return
        columns = list(dict.fromkeys(column for row in rows for column in row))
        source.execute(
            f"CREATE TEMP TABLE new ON COMMIT DROP AS SELECT {', '.join(columns)}"
            f" FROM {name} WITH NO DATA".encode()
        )
        with source.cursor().copy(f"COPY new ({', '.join(columns)}) FROM STDIN".encode()) as into:
            for row in rows:
                values = (row.get(column) for column in columns)
                into.write_row([json.dumps(v) if isinstance(v, dict) else v for v in values])
        key = columns[0]
        changes = ", ".join(f"{column} = excluded.{column}" for column in columns)
        source.execute(
            f"INSERT INTO {name} ({', '.join(columns)}) SELECT * FROM new"
            f" ON CONFLICT ({key}) DO UPDATE SET {changes}".encode()
        )
        source.execute(b"DROP TABLE new")
