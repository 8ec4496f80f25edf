"""Idempotency keys of requests with rows of their own, such as a purchase or a refund request.

A movement's key is recorded by `credits.post_transaction`. A verb that makes another row, or none,
takes an `origin` that is `naming` its request, and with the row that it locks first, or the balance
locked by `ledger.ensure_balance`: finds the key, acts, records the key.
"""

from typing import NamedTuple
from uuid import UUID

from credits.atomicity import transaction_required
from credits.ids import new_id
from credits.ledger.db_functions import Routine
from credits.ledger.posting import DONE, IdempotencyKeyReused, Origin, error_for
from credits.models import IdempotencyKey


class _Recorded(NamedTuple):
    outcome: str


_record = Routine(
    "credits.post_transaction",
    _Recorded,
    ("subject_id", "user_id", "actor", "request_id", "key", "fingerprint", "at"),
)


@transaction_required
def find(user_id: str, origin: Origin) -> UUID | None:
    """Return the id of the row that the origin's key stands for, None for a new key or none.

    Raises IdempotencyKeyReused.
    """
    known = IdempotencyKey.objects.filter(user_id=user_id, key=origin.key).first()
    if known is None:
        return None
    if known.fingerprint != origin.fingerprint():
        raise IdempotencyKeyReused
    return known.subject_id


@transaction_required
def record(user_id: str, origin: Origin, *, subject_id: UUID | None = None) -> None:
    """Record the key, if any, of a request that moves nothing, and the row that it made, if any.

    Raises IdempotencyKeyReused.
    """
    if origin.key is None:
        return
    outcome = _record(
        subject_id=subject_id or new_id(),
        user_id=user_id,
        actor=origin.actor,
        request_id=origin.request_id,
        key=origin.key,
        fingerprint=origin.fingerprint(),
        at=origin.at,
    ).outcome
    if outcome not in DONE:
        raise error_for(outcome)


@transaction_required
def delete(user_id: str, *, subject_id: UUID) -> None:
    """Delete a removed row's key so that it can be used again."""
    IdempotencyKey.objects.filter(user_id=user_id, subject_id=subject_id).delete()
