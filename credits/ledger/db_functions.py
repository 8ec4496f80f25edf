"""Database calls on the hot path: constant SQL, one round trip, rows as model instances.

`Routine` calls a database function (`credits/ledger/sql/`). `Lookup` reads one row by its primary
key at a third of the ORM's cost, because the ORM builds the same statement for each request.
`select` returns rows as tuples. `server_cursor` runs any other long, constant statement.

Results are in PostgreSQL's binary format, which psycopg parses in C. In the text format Django
parses timestamps and JSON in Python.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast, get_args, get_type_hints

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models.base import ModelState
from psycopg import Cursor

Row = TypeVar("Row", bound=models.Model)
Answer = TypeVar("Answer", bound=tuple[Any, ...])
Columns = Mapping[type[models.Model], Sequence[str]]


class Routine(Generic[Answer]):
    """A database function with named arguments whose result is a NamedTuple.

    The fields of `answer` are the OUT parameters to read. A field annotated with a model (or None)
    is returned as an instance of it. `parameters` are the arguments of every call, without their
    prefix `p_`. `only` names the columns to read of some models. As after Django's `only`, the
    others are loaded when they are accessed.
    """

    def __init__(
        self,
        name: str,
        answer: type[Answer],
        parameters: Sequence[str],
        *,
        only: Columns = MappingProxyType({}),
    ) -> None:
        self._answer = answer
        self._readers = [_reader(hint, only) for hint in get_type_hints(answer).values()]
        fields = zip(get_type_hints(answer), self._readers, strict=True)
        columns = ", ".join(_columns(field, reader) for field, reader in fields)
        # Named arguments, because a new release may add a parameter with a default to the function
        # while the previous release still calls it.
        named = ", ".join(f"p_{parameter} => %s" for parameter in parameters)
        self._sql = f"SELECT {columns} FROM {name}({named}) r"  # noqa: S608
        self._parameters = tuple(parameters)

    def __call__(self, **arguments: Any) -> Answer:
        """Call the function with these arguments and return its result."""
        values = _fetch(self._sql, [arguments[name] for name in self._parameters])
        return self._read(values)

    def rows(self, **arguments: Any) -> list[Answer]:
        """Call a set-returning function and return its rows in order."""
        rows = select(self._sql, [arguments[name] for name in self._parameters])
        return [self._read(values) for values in rows]

    def _read(self, values: tuple[Any, ...]) -> Answer:
        answer: list[Any] = []
        # The columns of all models lie side by side in one row. Each reader takes its slice of
        # them.
        start = 0
        for reader in self._readers:
            end = start + (len(reader.columns) if reader else 1)
            answer.append(reader.read(values[start:end]) if reader else values[start])
            start = end
        return self._answer(*answer)


def call(name: str, **arguments: Any) -> Any:
    """Call a function of the database that returns one value, with arguments without their `p_`."""
    named = ", ".join(f"p_{argument} => %s" for argument in arguments)
    return _fetch(f"SELECT {name}({named})", list(arguments.values()))[0]


def _reader(hint: Any, only: Columns) -> "_Reader | None":
    model = next((one for one in (hint, *get_args(hint)) if _is_model(one)), None)
    return _Reader(model, only.get(model)) if model else None


def _is_model(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, models.Model)


def _columns(field: str, reader: "_Reader | None") -> str:
    if reader is None:
        return f"r.{field}"
    return ", ".join(f'(r.{field})."{column}"' for column in reader.columns)


class Lookup(Generic[Row]):
    """Reads one row of `model` by its primary key."""

    def __init__(self, model: type[Row]) -> None:
        self._reader = _Reader(model)
        meta = model._meta  # noqa: SLF001
        columns = ", ".join(f'"{column}"' for column in self._reader.columns)
        key = meta.pk.column
        self._sql = f'SELECT {columns} FROM {meta.db_table} WHERE "{key}" = %s'  # noqa: S608

    def __call__(self, key: Any) -> Row | None:
        """Return the row with the primary key `key`, or None."""
        values = _fetch(self._sql, [key])
        return None if values is None else cast("Row", self._reader.read(values))


@contextmanager
def server_cursor() -> Iterator["Cursor[Any]"]:
    """Yield a psycopg cursor on Django's connection that binds arguments on the server.

    Unlike Django's cursor, it can use prepared statements if the connection allows it (see
    DATABASE_PREPARED_STATEMENTS in the settings).
    """
    database = _connected()
    with database.wrap_database_errors, Cursor(database.connection) as cursor:
        yield cursor


def select(sql: str, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run a constant statement and return its rows as tuples."""
    with server_cursor() as cursor:
        return cursor.execute(sql, arguments, binary=True).fetchall()


def _fetch(sql: str, arguments: Sequence[Any]) -> Any:
    database = _connected()
    with database.wrap_database_errors:
        cursor = database.connection.kept_cursor
        return cursor.execute(sql, arguments, binary=True).fetchone()


def _connected() -> Any:
    """Return Django's connection of this thread, connected and outside a failed transaction."""
    database = connections[DEFAULT_DB_ALIAS]
    database.ensure_connection()
    database.validate_no_broken_transaction()
    return database


class _Reader:
    """Creates instances of a model from the values of some columns, or of all.

    The model's first column is never null, and always read.
    """

    def __init__(self, model: type[models.Model], columns: Sequence[str] | None = None) -> None:
        fields = [
            field
            for field in model._meta.concrete_fields  # noqa: SLF001
            if columns is None or field.column in columns
        ]
        self.columns = [field.column for field in fields]
        self._model = model
        self._names = [field.attname for field in fields]

    def read(self, values: tuple[Any, ...]) -> models.Model | None:
        """Return the instance, or None for a row of nulls.

        Like a copy of an instance in Django, it is created without `__init__`, which is slower: it
        sets each field separately and sends two signals without receivers.
        """
        if values[0] is None:
            return None
        instance = self._model.__new__(self._model)
        instance._state = ModelState()  # noqa: SLF001
        instance._state.adding = False  # noqa: SLF001
        instance.__dict__.update(zip(self._names, values, strict=True))
        return instance
