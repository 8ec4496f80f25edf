"""Idempotency keys of requests that create another row than a transaction, such as a purchase.

`credits.post_transaction` records the key of a movement. A function that creates another row, or
none, describes its request with `origin.naming`, locks its own row (or the balance with
`ledger.ensure_balance`), and then finds the key, acts, and records the key. The lock makes
concurrent requests with the same key wait for each other.
"""

from typing import NamedTuple
from uuid import UUID

from credits.ids import new_id
from credits.ledger.db_functions import Routine, call
from credits.ledger.outcomes import DONE, IdempotencyKeyReused, error_for
from credits.ledger.posting import Origin
from credits.models import IdempotencyKey
from credits.postgresql.atomicity import transaction_required


class _Recorded(NamedTuple):
    outcome: str


# With the default amounts of 0, the function locks the balance and records the key, and moves
# nothing.
_record = Routine(
    "credits.post_transaction",
    _Recorded,
    ("subject_id", "user_id", "actor", "request_id", "key", "fingerprint", "at"),
)


@transaction_required
def find(user_id: str, origin: Origin) -> UUID | None:
    """Return the id of the row of the origin's key, or None if there is no key or it is new.

    Raises IdempotencyKeyReused.
    """
    # Without a key, this finds nothing, because the column is NOT NULL.
    known = IdempotencyKey.objects.filter(user_id=user_id, key=origin.key).first()
    if known is None:
        return None
    if known.fingerprint != origin.fingerprint():
        raise IdempotencyKeyReused
    return known.subject_id


@transaction_required
def record(user_id: str, origin: Origin, *, subject_id: UUID | None = None) -> None:
    """Record the origin's key, if any, with the id of the row that the request created, if any.

    Raises IdempotencyKeyReused.
    """
    if origin.key is None:
        return
    outcome = _record(
        # The column is NOT NULL. Without a row, the id refers to nothing.
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
    call("credits.delete_key", user_id=user_id, subject_id=subject_id)


def blank(user_id: str, *, subject_id: UUID) -> None:
    """Blank the fingerprint of a key that names an erased person.

    The key stays used: a retry with it raises IdempotencyKeyReused and posts nothing.
    """
    call("credits.blank_key", user_id=user_id, subject_id=subject_id)
