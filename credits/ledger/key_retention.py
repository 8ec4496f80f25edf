"""Retention of idempotency keys: delete old ones in batches."""

from collections.abc import Iterator
from datetime import datetime

from credits.ledger.db_functions import call

KEYS_PER_STATEMENT = 5_000


def delete_older(than: datetime) -> Iterator[int]:
    """Delete the keys recorded before `than`; yield the number deleted by each statement.

    Each statement is its own transaction, so that no key is locked for long. The database keeps the
    keys of the last day in any case.
    """
    deleted = KEYS_PER_STATEMENT
    while deleted == KEYS_PER_STATEMENT:
        deleted = call("credits.delete_old_keys", before=than, limit=KEYS_PER_STATEMENT)
        yield deleted
