"""Idempotency keys of requests that make a row and move no credits at once.

They stand in the one registry of all requests, written under the lock on the balance row like
those of `credits.post_transaction`.
"""

from datetime import datetime
from uuid import UUID

from credits import ledger
from credits.ledger import IdempotencyKeyReused, Origin
from credits.models import Balance, IdempotencyKey


def recall(user_id: str, request: str, *, origin: Origin) -> UUID | None:
    """Return the row that the origin's key stands for, None when the key is new.

    Locks the user's balance, and with it all their keys, until the transaction ends. Raises
    IdempotencyKeyReused when the key stands for another request.
    """
    ledger.open_balance(user_id, origin=origin._replace(key=None))
    Balance.objects.select_for_update().get(pk=user_id)
    known = IdempotencyKey.objects.filter(user_id=user_id, key=origin.key).first()
    if known is None:
        return None
    if known.request != request:
        raise IdempotencyKeyReused
    return known.subject_id


def remember(user_id: str, request: str, *, key: str, subject_id: UUID, at: datetime) -> None:
    """Let `key` stand for the row `subject_id`, after `recall` said that it is new."""
    IdempotencyKey.objects.create(
        user_id=user_id, key=key, request=request, subject_id=subject_id, created_at=at
    )


def forget(user_id: str, *, subject_id: UUID) -> None:
    """Let the key of a row that is no more be new again."""
    IdempotencyKey.objects.filter(user_id=user_id, subject_id=subject_id).delete()
