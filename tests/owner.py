"""Statements of a test as the owner of the database. By default, tests run as the service."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import DatabaseError, connection
from django.db.transaction import TransactionManagementError


@contextmanager
def as_owner() -> Iterator[None]:
    """Run the body's statements as the owner, to prepare or to damage protected rows."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW role")
        (before,) = cursor.fetchone()
        cursor.execute("SET ROLE NONE")
    try:
        yield
    finally:
        # In a failed transaction, its rollback restores the role.
        with suppress(DatabaseError, TransactionManagementError), connection.cursor() as cursor:
            cursor.execute(f"SET ROLE {before}")
