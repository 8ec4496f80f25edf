"""Posting: one call of the database function `credits.post_transaction` and its result.

The function (`credits/ledger/sql/`) locks the balance, answers replays, checks funds and writes.
The functions of `credits.ledger.ledger` call it through `post`. Amounts are credits.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, cast
from uuid import UUID

from psycopg.types.json import Jsonb

from credits.amounts import plain
from credits.catalogue.metered_prices import units_text
from credits.ids import new_id
from credits.ledger.db_functions import Columns, Routine
from credits.ledger.outcomes import DONE, Reached, error_for, movements
from credits.models import Balance, Transaction

# json.dumps builds an encoder for each call.
_encode = json.JSONEncoder(default=float).encode
# The arguments of `credits.post_transaction` for a movement, and their types.
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
    "expires_at": "timestamptz",
    "at": "timestamptz",
    "operation": "text",
    "quantity": "integer",
    "metering": "jsonb",
}

# The columns that answers contain. Each further one costs PostgreSQL and the client about 0.5 µs.
ANSWERED: Columns = {
    Transaction: (
        "id",
        "user_id",
        "number",
        "type",
        "amount",
        "balance_before",
        "balance_after",
        "app_id",
        "description",
        "metadata",
        "idempotency_key",
        "created_at",
        "metering",
    ),
    Balance: ("user_id", "posted", "held", "total_earned", "total_spent", "last_number"),
}


class Memo(NamedTuple):
    """The app, the description for the user, and the caller's metadata of a transaction."""

    app_id: str = "system"
    description: str = ""
    metadata: Mapping[str, Any] | None = None


class Priced(NamedTuple):
    """A quantity or units of an operation, priced by the catalogue at the time of the movement.

    With `units`, counts by their name, there is no quantity.
    """

    operation: str
    quantity: int | None = 1
    units: Mapping[str, int] | None = None

    @property
    def metering(self) -> dict[str, Any] | None:
        """Return the units as `credits.post_transaction` takes them, or None."""
        return None if self.units is None else {"units": self.units}


class Origin(NamedTuple):
    """The actor of a movement and the identity of the request.

    `actor` is `user`, `service`, `service:NAME`, `operator:NAME`, `stripe` or `system`. `key` is
    the idempotency key, unique per user. `at` is the timestamp (UTC); None means the database's
    clock. `names` describe the request of the key if it is not the movement itself.
    """

    actor: str
    key: str | None = None
    request_id: str | None = None
    at: datetime | None = None
    names: tuple[object, ...] = ()

    def naming(self, *names: object) -> "Origin":
        """Return a copy of the origin whose fingerprint is made of `names`, not of a movement."""
        return self._replace(names=names)

    def fingerprint(self, *parts: object) -> str | None:
        """Return the text that a replay of this request must match, or None without a key."""
        if self.key is None:
            return None
        # Without the name: after a rotation, another key of the same kind may send the retry.
        kind = self.actor.partition(":")[0]
        described = self.names or parts
        return json.dumps([kind, *(None if part is None else str(part) for part in described)])


class Posting(NamedTuple):
    """The transaction and the current balance; `replayed` if nothing was moved by this call."""

    transaction: Transaction
    balance: Balance
    replayed: bool


class Movement(NamedTuple):
    """The arguments of `credits.post_transaction` that differ by the kind of movement; see there.

    A replay must have the same type, amount, expiry and app, and the same `fingerprint` or, if that
    is not given, the same cause and related transaction.
    """

    type: str
    amount: Decimal | Priced
    counts_as: str = "earned"
    may_overdraw: bool = False
    cause: str | None = None
    related_id: UUID | None = None
    expires_at: datetime | None = None
    fingerprint: tuple[object, ...] | None = None


class _Answer(NamedTuple):
    outcome: str
    required: Decimal | None
    reached: Reached | None
    entry: Transaction | None
    balance: Balance | None


_post_transaction = Routine("credits.post_transaction", _Answer, tuple(PARAMETERS), only=ANSWERED)


def post(user_id: str, movement: Movement, memo: Memo, origin: Origin) -> Posting:
    """Post the movement, or return the first result for a replay. Raises DomainError."""
    answer = _post_transaction(**sql_arguments(new_id(), user_id, movement, memo, origin))
    movements(movement.type, answer.outcome).inc()
    if answer.outcome not in DONE:
        raise error_for(
            answer.outcome,
            required=answer.required,
            balance=answer.balance,
            reached=answer.reached,
        )
    entry, balance = cast("Transaction", answer.entry), cast("Balance", answer.balance)
    return Posting(entry, balance, replayed=answer.outcome == "replayed")


def sql_arguments(
    subject_id: UUID, user_id: str, movement: Movement, memo: Memo, origin: Origin
) -> dict[str, Any]:
    """Return the values of PARAMETERS; `subject_id` is the id for the new transaction."""
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
        "metadata": None if memo.metadata is None else Jsonb(memo.metadata, dumps=_encode),
        "request_id": origin.request_id,
        "key": origin.key,
        "fingerprint": movement_fingerprint(movement, memo, origin),
        "cause": movement.cause,
        "related_id": movement.related_id,
        "expires_at": movement.expires_at,
        "at": origin.at,
        "operation": priced and priced.operation,
        "quantity": priced and priced.quantity,
        "metering": Jsonb(priced.metering) if priced and priced.units else None,
    }


def amount_fingerprint(amount: Decimal | Priced) -> tuple[object, ...]:
    """Return an amount's part of a fingerprint: the amount, or the operation and its quantity.

    Units take the place of the quantity. The price is left out, so that a replay after a change of
    the price still matches.
    """
    if not isinstance(amount, Priced):
        return (plain(amount),)
    if amount.units is None:
        return amount.operation, amount.quantity
    return amount.operation, units_text(amount.units)


def movement_fingerprint(movement: Movement, memo: Memo, origin: Origin) -> str | None:
    """Return the text that a replay of the movement must match, or None without a key."""
    if origin.key is None:
        return None
    described = movement.fingerprint or (movement.cause, movement.related_id)
    parts = (*amount_fingerprint(movement.amount), memo.app_id, *described)
    if movement.expires_at is not None:
        # Only if given, so that the keys of requests from before credits could expire still match.
        parts = (*parts, movement.expires_at.isoformat())
    return origin.fingerprint(movement.type, *parts)
