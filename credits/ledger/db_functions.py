"""Calls of the database on the hot path: written once, one round trip, rows back as models.

`Routine` calls a function that `credits/sql/` installs. `Lookup` reads one row by its primary key,
for a third of what it costs to have the ORM write the same statement anew on each request.
`server_cursor` runs any other long statement that is written once.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar, cast

from django.db import DEFAULT_DB_ALIAS, connections, models
from psycopg import Cursor

Row = TypeVar("Row", bound=models.Model)


class Routine:
    """A database function that answers an outcome, what was required, and a row of each model.

    `arity` is the number of its arguments; `rows` maps fields of its composite result to models.
    """

    def __init__(self, name: str, *, arity: int, **rows: type[models.Model]) -> None:
        self._readers = [_Reader(model) for model in rows.values()]
        columns = ", ".join(
            f'(r.{field})."{column}"'
            for field, reader in zip(rows, self._readers, strict=True)
            for column in reader.columns
        )
        markers = ", ".join(["%s"] * arity)
        self._sql = f"SELECT r.outcome, r.required, {columns} FROM {name}({markers}) r"  # noqa: S608

    def __call__(self, *arguments: Any) -> tuple[Any, ...]:
        """Return the outcome, the credits it lacked, and for each model an instance or None."""
        values = _fetch(self._sql, arguments)
        answer: list[Any] = list(values[:2])
        start = 2
        for reader in self._readers:
            end = start + len(reader.columns)
            answer.append(reader.read(values[start:end]))
            start = end
        return tuple(answer)


class Lookup(Generic[Row]):
    """Reads a row of `model` by its primary key."""

    def __init__(self, model: type[Row]) -> None:
        self._reader = _Reader(model)
        meta = model._meta  # noqa: SLF001
        columns = ", ".join(f'"{column}"' for column in self._reader.columns)
        key = meta.pk.column
        self._sql = f'SELECT {columns} FROM {meta.db_table} WHERE "{key}" = %s'  # noqa: S608

    def __call__(self, key: Any) -> Row | None:
        """Return the row whose primary key is `key`, or None."""
        values = _fetch(self._sql, [key])
        return None if values is None else cast("Row", self._reader.read(values))


@contextmanager
def server_cursor() -> Iterator["Cursor[Any]"]:
    """Yield psycopg's own cursor on Django's connection.

    Unlike Django's it leaves it to the server to bind the arguments, and so may prepare the
    statement where the connection allows it (settings, DATABASE_PREPARED_STATEMENTS).
    """
    database = connections[DEFAULT_DB_ALIAS]
    database.ensure_connection()
    database.validate_no_broken_transaction()
    with database.wrap_database_errors, Cursor(database.connection) as cursor:
        yield cursor


def _fetch(sql: str, arguments: Sequence[Any]) -> Any:
    with server_cursor() as cursor:
        cursor.execute(sql, arguments)
        return cursor.fetchone()


class _Reader:
    """Makes instances of one model from its columns' values; its first column is never null."""

    def __init__(self, model: type[models.Model]) -> None:
        fields = model._meta.concrete_fields  # noqa: SLF001
        self.columns = [field.column for field in fields]
        self._model = model
        self._names = [field.attname for field in fields]
        self._documents = [
            index for index, field in enumerate(fields) if isinstance(field, models.JSONField)
        ]

    def read(self, values: tuple[Any, ...]) -> models.Model | None:
        if values[0] is None:
            return None
        row = list(values)
        for index in self._documents:
            if row[index] is not None:
                row[index] = json.loads(row[index])
        return self._model.from_db(None, self._names, row)
