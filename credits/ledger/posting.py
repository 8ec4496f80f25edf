"""One call of `credits.post_transaction`: what it is told and what it answers.

The function (in `credits/sql/`) locks the balance, answers replays, checks funds and writes. Its
callers are the verbs of `credits.ledger`; amounts are credits.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, cast
from uuid import UUID

from psycopg.types.json import Jsonb

from credits.amounts import plain
from credits.catalogue import OperationUnknown
from credits.errors import DomainError
from credits.ids import new_id
from credits.ledger.db_functions import Routine
from credits.ledger.movement_counters import movements
from credits.models import Balance, Transaction

_post_transaction = Routine(
    "credits.post_transaction", arity=20, entry=Transaction, balance=Balance
)


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
    is what the key stands for when that is not the movement itself.
    """

    actor: str
    key: str | None = None
    request_id: str | None = None
    at: datetime | None = None
    names: tuple[object, ...] = ()

    def naming(self, *names: object) -> "Origin":
        """Return the same origin of a request that `names` describe, whatever it moves."""
        return self._replace(names=names)

    def request(self, *parts: object) -> str | None:
        """Return what a replay of this request must equal, or None without a key."""
        if self.key is None:
            return None
        kind = self.actor.partition(":")[0]
        named = self.names or parts
        return json.dumps([kind, *(None if part is None else str(part) for part in named)])


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
    message = "More than the original transaction moved, counting what was given back before"


class BalanceTooLarge(DomainError):
    """A total of the balance would have more than 15 digits."""

    code = "balance_too_large"
    message = "The balance would become too large"


REFUSALS: Mapping[str, type[DomainError]] = {
    "idempotency_key_reused": IdempotencyKeyReused,
    "unknown_user": UserUnknown,
    "unknown_transaction": TransactionUnknown,
    "exceeds_original": ExceedsOriginal,
    "balance_too_large": BalanceTooLarge,
    "unknown_operation": OperationUnknown,
}


class Movement(NamedTuple):
    """What `credits.post_transaction` is asked to do; see there.

    A replay must equal it in type, amount, app, and in `request` where that is given, else in
    cause and related.
    """

    type: str | None
    amount: Decimal | Priced
    side: str = "earned"
    may_overdraw: bool = False
    cause: str | None = None
    related_id: UUID | None = None
    request: tuple[object, ...] | None = None


def named(amount: Decimal | Priced) -> tuple[object, ...]:
    """Return what a request says of an amount: itself, or the operation, whatever its price."""
    return amount if isinstance(amount, Priced) else (plain(amount),)


def refuse(outcome: str, *, required: Decimal | None, balance: Balance | None) -> DomainError:
    """Return the error for an `outcome` of the database's functions that moved nothing."""
    if outcome == "insufficient_credits":
        available = balance.available if balance else Decimal(0)
        return InsufficientCredits(required=required or Decimal(0), available=available)
    return REFUSALS[outcome]()


def arguments(
    subject_id: UUID, user_id: str, movement: Movement, memo: Memo, origin: Origin
) -> tuple[Any, ...]:
    """Return what `credits.post_transaction` is called with; `subject_id` is the entry's id."""
    amount = movement.amount
    operation, quantity = amount if isinstance(amount, Priced) else (None, None)
    return (
        subject_id,
        user_id,
        movement.type,
        None if isinstance(amount, Priced) else amount,
        Decimal(0),
        movement.side,
        movement.may_overdraw,
        memo.app_id,
        memo.description,
        None if memo.metadata is None else Jsonb(memo.metadata, dumps=_dump),
        origin.actor,
        origin.request_id,
        origin.key,
        origin.request(
            movement.type,
            *named(amount),
            memo.app_id,
            *(movement.request or (movement.cause, movement.related_id)),
        ),
        movement.cause,
        movement.related_id,
        origin.at,
        operation,
        None,
        quantity,
    )


def post(user_id: str, movement: Movement, memo: Memo, origin: Origin) -> Posting:
    """Make the movement, or answer what the same request made before; raise what refuses it."""
    outcome, required, transaction, balance = call(user_id, movement, memo, origin)
    if outcome not in {"posted", "replayed"}:
        raise refuse(outcome, required=required, balance=balance)
    return Posting(transaction, balance, replayed=outcome == "replayed")


def call(
    user_id: str,
    movement: Movement,
    memo: Memo,
    origin: Origin,
    subject_id: UUID | None = None,
) -> tuple[str, Decimal | None, Any, Any]:
    """Return the outcome, the credits required, the entry and the balance (None: there is none).

    Without a type nothing moves: the balance is made, and the key kept for `subject_id`.
    """
    row_id = subject_id or new_id()
    answer = _post_transaction(*arguments(row_id, user_id, movement, memo, origin))
    if movement.type is not None:
        movements(movement.type, answer[0]).inc()
    return cast("tuple[str, Decimal | None, Any, Any]", answer)


def _dump(metadata: Any) -> str:
    return json.dumps(metadata, default=float)
