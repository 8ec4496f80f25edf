"""Retention of idempotency keys: delete old ones in batches."""

from collections.abc import Iterator
from datetime import datetime

from django.db.models import BooleanField
from django.db.models.expressions import RawSQL

from credits.models import IdempotencyKey

KEYS_PER_STATEMENT = 5_000

# Deletes by ctid, so that a batch is searched once, by the index on created_at.
_PLACES = """
    ctid = ANY (ARRAY(
        SELECT ctid FROM credits.idempotency_keys WHERE created_at < %s
        LIMIT %s FOR UPDATE SKIP LOCKED
    ))
"""


def delete_older(than: datetime) -> Iterator[int]:
    """Delete the keys recorded before `than`; yield the number deleted by each statement.

    Each statement is its own transaction, so that no key is locked for long.
    """
    deleted = KEYS_PER_STATEMENT
    while deleted == KEYS_PER_STATEMENT:
        batch = RawSQL(_PLACES, [than, KEYS_PER_STATEMENT], output_field=BooleanField())  # noqa: S611
        deleted, _ = IdempotencyKey.objects.filter(batch).delete()
        yield deleted
