"""The earlier service's database: copying one snapshot into temporary tables of the target."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import NamedTuple

import psycopg
from django.db import connection
from psycopg.errors import InsufficientPrivilege

from credits.errors import DomainError


class LegacyTable(NamedTuple):
    """A table of the source. `columns` are the target's names with their types.

    The copy is named `legacy_` plus the table's name without its schema. Columns that an old
    installation lacks are null or have their DEFAULT. A missing table is empty unless it is
    `required`. With `query`, the copy contains the query's result.
    """

    name: str
    columns: tuple[str, ...]
    required: bool = False
    query: str = ""

    @property
    def copy(self) -> str:
        """Return the name of the copy."""
        return f"legacy_{self.name.rpartition('.')[2]}"


class SourceUnreachable(DomainError):
    """The source cannot be reached or read."""

    code = "source_unreachable"
    message = "The source cannot be read"


class SourceUnknown(DomainError):
    """The database does not belong to the earlier service. Details: `table`."""

    code = "source_unknown"
    message = "This is not a database of the earlier service"


def copy(url: str, tables: Iterable[LegacyTable]) -> Iterator[tuple[str, int]]:
    """Copy the tables in one snapshot. Yield each name and its number of rows.

    Nothing is kept in memory or locked in the source. Raises SourceUnreachable, SourceUnknown.
    """
    try:
        with closing(_connected(url)) as source:
            source.read_only = True
            source.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            # The earlier service's role may have a limit that a copy of a large table exceeds.
            source.execute("SET LOCAL statement_timeout = 0")
            for table in tables:
                yield table.name, _copy(source, table)
    except (psycopg.OperationalError, InsufficientPrivilege) as error:
        raise SourceUnreachable(reason=str(error)) from error


def _connected(url: str) -> psycopg.Connection:
    try:
        return psycopg.connect(url, client_encoding="UTF8")
    except psycopg.ProgrammingError as error:  # not a valid URL
        raise SourceUnreachable(reason=str(error)) from error


def _copy(source: psycopg.Connection, table: LegacyTable) -> int:
    columns = {column.split()[0]: column.split()[1] for column in table.columns}
    there = _columns(source, table.name)
    if table.query and there:
        # The query computes its columns; only the table has to exist.
        there = set(columns)
    if table.required and not columns.keys() <= there:
        raise SourceUnknown(table=table.name)
    known = {name: kind for name, kind in columns.items() if name in there}
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMP TABLE {table.copy} ({', '.join(table.columns)})")
        if not known:
            return 0
        # Casts, because the source has types of its own (enums, integers) that the target lacks.
        casts = ", ".join(f"{name}::{kind}" for name, kind in known.items())
        query = table.query or f"SELECT {casts} FROM {table.name}"  # noqa: S608
        with (
            source.cursor() as reader,
            reader.copy(f"COPY ({query}) TO STDOUT".encode()) as rows,
            cursor.copy(f"COPY {table.copy} ({', '.join(known)}) FROM STDIN") as into,
        ):
            for data in rows:
                into.write(data)
        copied: int = cursor.rowcount
        # Autovacuum does not analyze temporary tables, and the import joins them.
        cursor.execute(f"ANALYZE {table.copy}")
    return copied


def _columns(source: psycopg.Connection, table: str) -> set[str]:
    """Return the table's columns, or an empty set if it is missing.

    Reads pg_attribute, because the information schema hides tables without privileges, which would
    then seem to be missing.
    """
    found = source.execute(
        "SELECT attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relname = %s AND attnum > 0 AND NOT attisdropped",
        table.split("."),
    )
    return {column for (column,) in found}
