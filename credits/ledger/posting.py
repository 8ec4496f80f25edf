"""One call of `credits.post_transaction`: what it is told and what it answers.

The function (in `credits/sql/`) locks the balance, answers replays, checks funds and writes. Its
callers are the verbs of `credits.ledger`; amounts are credits.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, Protocol, cast
from uuid import UUID

from psycopg.types.json import Jsonb

from credits import catalogue  # noqa: F401  # defines the error for unknown_operation
from credits.amounts import plain
from credits.errors import DomainError
from credits.ids import new_id
from credits.ledger.db_functions import Routine
from credits.ledger.movement_counters import movements
from credits.models import Balance, Transaction

DONE = frozenset({"posted", "replayed"})
# The arguments of `credits.post_transaction` that a movement gives, and their types.
PARAMETERS = {
    "subject_id": "uuid",
    "user_id": "text",
    "actor": "text",
    "type": "text",
    "amount": "numeric",
    "counts_as": "text",
    "may_overdraw": "boolean",
    "app_id": "text",
    "description": "text",
    "metadata": "jsonb",
    "request_id": "text",
    "key": "text",
    "fingerprint": "text",
    "cause": "text",
    "related_id": "uuid",
    "at": "timestamptz",
    "operation": "text",
    "quantity": "integer",
}


class Memo(NamedTuple):
    """What an entry says: the app, a text for the user, and any JSON object of the caller's."""

    app_id: str = "system"
    description: str = ""
    metadata: Mapping[str, Any] | None = None


class Priced(NamedTuple):
    """So much of an operation, at the catalogue's price at the moment of the movement."""

    operation: str
    quantity: int = 1


class Origin(NamedTuple):
    """Who caused a movement, and the caller's name for the request.

    `actor` is `user`, `service`, `service:NAME`, `operator:NAME`, `stripe` or `system`; `key` the
    idempotency key, unique per user; `at` the moment (UTC), None for the database's clock. `names`
    describe the request that the key stands for when that is not the movement itself.
    """

    actor: str
    key: str | None = None
    request_id: str | None = None
    at: datetime | None = None
    names: tuple[object, ...] = ()

    def naming(self, *names: object) -> "Origin":
        """Return the same origin of a request that `names` describe, whatever it moves."""
        return self._replace(names=names)

    def fingerprint(self, *parts: object) -> str | None:
        """Return what a replay of this request must equal, or None without a key."""
        if self.key is None:
            return None
        kind = self.actor.partition(":")[0]
        described = self.names or parts
        return json.dumps([kind, *(None if part is None else str(part) for part in described)])


class Posting(NamedTuple):
    """The transaction and the balance as it stands now; `replayed` when nothing moved."""

    transaction: Transaction
    balance: Balance
    replayed: bool


class InsufficientCredits(DomainError):
    """The movement would take available below zero. Details: `required`, `available`."""

    code = "insufficient_credits"
    status = 402
    message = "Insufficient credits"

    def __init__(self, *, required: Decimal, available: Decimal) -> None:
        super().__init__(required=required, available=available)
        self.required = required


class IdempotencyKeyReused(DomainError):
    """The user's key stands for another request."""

    code = "idempotency_key_reused"
    status = 409
    message = "This idempotency key was used for another request"


class UserUnknown(DomainError):
    """A refund for a user who never had a balance."""

    code = "user_not_found"
    status = 404
    message = "This user has no balance"


class TransactionUnknown(DomainError):
    """The user has no such transaction, or a refund names one that is not a usage."""

    code = "transaction_not_found"
    status = 404
    message = "Transaction not found"


class ExceedsOriginal(DomainError):
    """More would be given back, in sum, than the original transaction moved."""

    code = "exceeds_original"
    field = "amount"
    message = "More than the original transaction moved, counting what was given back before"


class BalanceTooLarge(DomainError):
    """A total of the balance would have more than 15 digits."""

    code = "balance_too_large"
    field = "amount"
    message = "The balance would become too large"


class Movement(NamedTuple):
    """What `credits.post_transaction` is asked to do; see there.

    A replay must equal it in type, amount, app, and in `fingerprint` where that is given, else in
    cause and related.
    """

    type: str
    amount: Decimal | Priced
    counts_as: str = "earned"
    may_overdraw: bool = False
    cause: str | None = None
    related_id: UUID | None = None
    fingerprint: tuple[object, ...] | None = None


class HasAvailable(Protocol):
    """A balance, or its state after an item of a batch."""

    @property
    def available(self) -> Decimal:
        """What can be spent, in credits."""


class _Answer(NamedTuple):
    outcome: str
    required: Decimal | None
    entry: Transaction | None
    balance: Balance | None


_post_transaction = Routine("credits.post_transaction", _Answer, tuple(PARAMETERS))


def post(user_id: str, movement: Movement, memo: Memo, origin: Origin) -> Posting:
    """Make the movement, or return what the same request made before; raise what refuses it."""
    answer = _post_transaction(**sql_arguments(new_id(), user_id, movement, memo, origin))
    movements(movement.type, answer.outcome).inc()
    if answer.outcome not in DONE:
        raise error_for(answer.outcome, required=answer.required, balance=answer.balance)
    entry, balance = cast("Transaction", answer.entry), cast("Balance", answer.balance)
    return Posting(entry, balance, replayed=answer.outcome == "replayed")


def sql_arguments(
    subject_id: UUID, user_id: str, movement: Movement, memo: Memo, origin: Origin
) -> dict[str, Any]:
    """Return the PARAMETERS of `credits.post_transaction`; `subject_id` is the entry's id."""
    amount = movement.amount
    priced = amount if isinstance(amount, Priced) else None
    return {
        "subject_id": subject_id,
        "user_id": user_id,
        "actor": origin.actor,
        "type": movement.type,
        "amount": None if priced else amount,
        "counts_as": movement.counts_as,
        "may_overdraw": movement.may_overdraw,
        "app_id": memo.app_id,
        "description": memo.description,
        "metadata": None if memo.metadata is None else Jsonb(memo.metadata, dumps=_dump),
        "request_id": origin.request_id,
        "key": origin.key,
        "fingerprint": movement_fingerprint(movement, memo, origin),
        "cause": movement.cause,
        "related_id": movement.related_id,
        "at": origin.at,
        "operation": priced and priced.operation,
        "quantity": priced and priced.quantity,
    }


def amount_fingerprint(amount: Decimal | Priced) -> tuple[object, ...]:
    """Return an amount's part of a fingerprint: itself, or the operation, whatever its price."""
    return amount if isinstance(amount, Priced) else (plain(amount),)


def error_for(
    outcome: str, *, required: Decimal | None = None, balance: HasAvailable | None = None
) -> DomainError:
    """Return the error whose code a function of the database gave as its `outcome`."""
    if outcome == InsufficientCredits.code:
        available = balance.available if balance else Decimal(0)
        return InsufficientCredits(required=required or Decimal(0), available=available)
    return DomainError.by_code[outcome]()


def movement_fingerprint(movement: Movement, memo: Memo, origin: Origin) -> str | None:
    """Return what a replay of the movement under the origin's key must equal, None without one."""
    if origin.key is None:
        return None
    described = movement.fingerprint or (movement.cause, movement.related_id)
    parts = (*amount_fingerprint(movement.amount), memo.app_id, *described)
    return origin.fingerprint(movement.type, *parts)


def _dump(metadata: Any) -> str:
    return json.dumps(metadata, default=float)
