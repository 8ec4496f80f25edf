"""The owner of the tables, which commands need to change the ledger without its functions."""

from django.core.management.base import BaseCommand, CommandError
from django.db import connection


def require_owner(command: BaseCommand) -> None:
    """Raise CommandError unless the connection may write the ledger directly."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_table_privilege('credits.transactions', 'INSERT, UPDATE')")
        if not cursor.fetchone()[0]:
            name = type(command).__module__.rpartition(".")[2]
            raise CommandError(
                f"{name} changes the ledger itself and needs the owner of its tables: set"
                " MIGRATIONS_DATABASE_URL to the owner's URL."
            )
