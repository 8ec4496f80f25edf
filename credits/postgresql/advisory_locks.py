"""Advisory locks: they belong to no row, and last until the transaction ends."""

from enum import IntEnum

from django.db import connection

from credits.postgresql.atomicity import transaction_required


class Kind(IntEnum):
    """What a lock is for. The number is part of the hash, so equal names do not collide."""

    PAYMENT = 0
    FORM = 1
    ADJUSTMENT = 2


@transaction_required
def lock(kind: Kind, name: str) -> None:
    """Lock a name. A collision of two hashes only makes the two wait for each other."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", [name, kind])
