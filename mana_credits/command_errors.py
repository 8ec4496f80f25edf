"""Errors of the database that a command reports in a sentence instead of a traceback."""

from django.db import DatabaseError, OperationalError
from psycopg import Error, errors

OF_THE_SCHEMA = (
    errors.InvalidSchemaName,
    errors.UndefinedColumn,
    errors.UndefinedFunction,
    errors.UndefinedTable,
)
OF_THE_CONNECTION = (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction)


def sentence_for(error: DatabaseError) -> str | None:
    """Return what an operator can repair, or None for an error of the program."""
    cause = error.__cause__
    said = cause.diag.message_primary if isinstance(cause, Error) else None
    if isinstance(cause, OF_THE_SCHEMA):
        return f"{said}. The database needs `manage.py migrate` of this release."
    if isinstance(error, OperationalError) or isinstance(cause, OF_THE_CONNECTION):
        return said or str(error).strip()
    return None
