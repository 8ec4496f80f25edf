"""How long idempotency keys are kept: old ones are deleted, in batches."""

from collections.abc import Iterator
from datetime import datetime

from django.db import connection

KEYS_PER_STATEMENT = 5_000

# By their places in the table, so that each batch is found once, by the index on the time. Each
# statement is a transaction of its own: no key is locked for longer than that.
_DELETE = """
    DELETE FROM credits.idempotency_keys WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM credits.idempotency_keys WHERE created_at < %s
        LIMIT %s FOR UPDATE SKIP LOCKED
    ))
"""


def delete_older(than: datetime) -> Iterator[int]:
    """Delete the keys that were recorded before `than`; yield how many each statement deleted."""
    deleted = KEYS_PER_STATEMENT
    while deleted == KEYS_PER_STATEMENT:
        with connection.cursor() as cursor:
            cursor.execute(_DELETE, [than, KEYS_PER_STATEMENT])
            deleted = cursor.rowcount
        yield deleted
