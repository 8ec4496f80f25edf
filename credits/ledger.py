"""The write path: every movement of credits is one verb here, and one call of the database.

`credits.post_transaction` (in `credits/sql/`) locks the balance, answers replays, checks funds and
writes; this module is its only caller. Amounts are credits. Each verb takes `memo`, what the
entry says, and `origin`, who asked; each returns a Posting and raises the DomainErrors it names,
besides InvalidAmount, IdempotencyKeyReused and BalanceTooLarge, which any of them may.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, cast
from uuid import UUID

from psycopg.types.json import Jsonb

from credits.amounts import exact, plain, positive
from credits.catalogue import OperationUnknown
from credits.errors import DomainError
from credits.ids import new_id
from credits.models import Balance, IdempotencyKey, Transaction
from credits.routines import Lookup, Routine

Type = Transaction.Type

_balance = Lookup(Balance)
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


class NotReversible(DomainError):
    """A reversal is not reversed, its original is posted anew; a gift is not, it is cancelled."""

    code = "not_reversible"
    message = "A reversal or a gift cannot be reversed"


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


def spend(
    user_id: str,
    amount: Decimal | Priced,
    *,
    memo: Memo,
    origin: Origin,
    cause: str | None = None,
) -> Posting:
    """Take what the user used, once per `cause` if there is one.

    Raises InsufficientCredits, and OperationUnknown for a price that the catalogue does not have.
    """
    taken = amount if isinstance(amount, Priced) else -positive(amount)
    return _post(user_id, Movement(Type.USAGE, taken, side="spent", cause=cause), memo, origin)


def refund(
    user_id: str, amount: Decimal, *, memo: Memo, origin: Origin, usage_id: UUID | None = None
) -> Posting:
    """Give back used credits; of one usage at most what it took, in sum, when it is named.

    Lowers the lifetime total spent; what exceeds that counts as earned. Raises UserUnknown,
    TransactionUnknown, ExceedsOriginal.
    """
    movement = Movement(Type.REFUND, positive(amount), side="spent", related_id=usage_id)
    return _post(user_id, movement, memo, origin)


def grant(user_id: str, amount: Decimal, *, memo: Memo, origin: Origin, cause: str) -> Posting:
    """Give credits without payment, once per `cause`."""
    movement = Movement(Type.GRANT, positive(amount), cause=cause)
    return _post(user_id, movement, memo, origin)


def grant_cause(user_id: str, reference: str) -> str:
    """Return the cause of the grant that a caller names `reference`, unique per user.

    The length says where the id ends: ids and references may hold colons.
    """
    return f"grant:{len(user_id)}:{user_id}:{reference}"


def credit_purchase(
    user_id: str, amount: Decimal, *, memo: Memo, origin: Origin, purchase_id: UUID
) -> Posting:
    """Give the credits of a paid purchase, once."""
    movement = Movement(Type.PURCHASE, positive(amount), cause=f"purchase:{purchase_id}")
    return _post(user_id, movement, memo, origin)


def adjust(user_id: str, amount: Decimal, *, memo: Memo, origin: Origin) -> Posting:
    """Post an operator's signed correction; may take available below zero."""
    movement = Movement(Type.ADJUSTMENT, exact(amount), may_overdraw=True)
    return _post(user_id, movement, memo, origin)


def reverse(transaction_id: UUID, *, memo: Memo, origin: Origin) -> Posting:
    """Post the opposite of a transaction, once; may take available below zero.

    Raises TransactionUnknown, NotReversible, and ExceedsOriginal when a part was given back
    already.
    """
    original = Transaction.objects.filter(pk=transaction_id).first()
    if original is None:
        raise TransactionUnknown
    if not reversible(original):
        raise NotReversible
    movement = Movement(
        Type.REVERSAL,
        -original.amount,
        side="spent" if original.type in {Type.USAGE, Type.REFUND} else "earned",
        may_overdraw=True,
        cause=f"reversal:{original.pk}",
        related_id=original.pk,
    )
    return _post(original.user_id, movement, memo, origin)


def reversible(original: Transaction) -> bool:
    """Tell whether a transaction is of a type that can be reversed."""
    return original.type not in {Type.REVERSAL, Type.GIFT}


def claw_back(user_id: str, amount: Decimal, *, memo: Memo, origin: Origin, cause: str) -> Posting:
    """Take credits because their money went back, once per `cause`; may leave a debt."""
    movement = Movement(Type.CLAWBACK, -positive(amount), may_overdraw=True, cause=cause)
    return _post(user_id, movement, memo, origin)


def reinstate(claw_back_id: UUID, *, memo: Memo, origin: Origin) -> Posting:
    """Give exactly a claw-back's credits back, once. Raises TransactionUnknown."""
    taken = Transaction.objects.filter(pk=claw_back_id, type=Type.CLAWBACK).first()
    if taken is None:
        raise TransactionUnknown
    movement = Movement(
        Type.REINSTATEMENT,
        -taken.amount,
        cause=f"reinstatement:{taken.pk}",
        related_id=taken.pk,
    )
    return _post(taken.user_id, movement, memo, origin)


def send_gift(
    user_id: str, amount: Decimal, *, memo: Memo, origin: Origin, gift_id: UUID, to: str | None
) -> Posting:
    """Take `amount` that the user puts into a gift, once. Raises InsufficientCredits.

    With the origin's key known, the posting is that of the gift which was made first: `gift_id` is
    a new one at each attempt and no part of the request, `to` (whom the gift is for) is.
    """
    movement = Movement(
        Type.GIFT,
        -positive(amount),
        side="spent",
        cause=f"gift-created:{gift_id}",
        request=("create", to),
    )
    return _post(user_id, movement, memo, origin)


def receive_gift(
    user_id: str, amount: Decimal, *, memo: Memo, origin: Origin, gift_id: UUID
) -> Posting:
    """Give the user what is in a gift; its credits arrive once, here or by `return_gift`."""
    movement = Movement(
        Type.GIFT, positive(amount), cause=f"gift:{gift_id}", request=("redeem", gift_id)
    )
    return _post(user_id, movement, memo, origin)


def return_gift(
    user_id: str, amount: Decimal, *, memo: Memo, origin: Origin, gift_id: UUID, payment_id: UUID
) -> Posting:
    """Give a gift's creator back what the transaction `payment_id` put into it.

    Lowers the lifetime total spent. Raises TransactionUnknown, ExceedsOriginal.
    """
    movement = Movement(
        Type.GIFT,
        positive(amount),
        side="spent",
        cause=f"gift:{gift_id}",
        related_id=payment_id,
        request=("return", gift_id),
    )
    return _post(user_id, movement, memo, origin)


def open_balance(user_id: str, *, origin: Origin) -> Balance:
    """Return the user's balance, making the row when there is none; locks it in a transaction."""
    unkeyed = origin._replace(key=None)
    _, _, _, balance = _call(user_id, Movement(None, Decimal(0)), Memo(), unkeyed)
    return cast("Balance", balance)


def balance_of(user_id: str) -> Balance:
    """Return the user's balance, zeros for a user never seen. Makes no row."""
    return _balance(user_id) or Balance(
        user_id=user_id,
        posted=Decimal(0),
        held=Decimal(0),
        total_earned=Decimal(0),
        total_spent=Decimal(0),
        last_number=0,
        version=0,
    )


def named(amount: Decimal | Priced) -> tuple[object, ...]:
    """Return what a request says of an amount: itself, or the operation, whatever its price."""
    return amount if isinstance(amount, Priced) else (plain(amount),)


def recall(user_id: str, origin: Origin) -> UUID | None:
    """Return the id that the origin's key stands for, None when it is new or there is none.

    For verbs with rows of their own, whose origin is `naming` the request; to be called with the
    row locked, or the balance by `open_balance`. Raises IdempotencyKeyReused.
    """
    known = IdempotencyKey.objects.filter(user_id=user_id, key=origin.key).first()
    if known is None:
        return None
    if known.request != origin.request():
        raise IdempotencyKeyReused
    return known.subject_id


def remember(user_id: str, origin: Origin, *, subject_id: UUID | None = None) -> None:
    """Keep the key, if any, of a request that moves nothing, and the row that it made, if any.

    Raises IdempotencyKeyReused.
    """
    if origin.key is not None:
        outcome, *_ = _call(user_id, Movement(None, Decimal(0)), Memo(), origin, subject_id)
        if outcome in REFUSALS:
            raise REFUSALS[outcome]


def forget(user_id: str, *, subject_id: UUID) -> None:
    """Let the key of a row that is no more be new again."""
    IdempotencyKey.objects.filter(user_id=user_id, subject_id=subject_id).delete()


def refuse(outcome: str, *, required: Decimal | None, balance: Balance | None) -> DomainError:
    """Return the error for an `outcome` of the database's functions that moved nothing."""
    if outcome == "insufficient_credits":
        available = balance.available if balance else Decimal(0)
        return InsufficientCredits(required=required or Decimal(0), available=available)
    return REFUSALS[outcome]()


def _post(user_id: str, movement: Movement, memo: Memo, origin: Origin) -> Posting:
    outcome, required, transaction, balance = _call(user_id, movement, memo, origin)
    if outcome not in {"posted", "replayed"}:
        raise refuse(outcome, required=required, balance=balance)
    return Posting(transaction, balance, replayed=outcome == "replayed")


def _call(
    user_id: str,
    movement: Movement,
    memo: Memo,
    origin: Origin,
    subject_id: UUID | None = None,
) -> tuple[str, Decimal | None, Any, Any]:
    amount = movement.amount
    operation, quantity = amount if isinstance(amount, Priced) else (None, None)
    return _post_transaction(
        subject_id or new_id(),
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


def _dump(metadata: Any) -> str:
    return json.dumps(metadata, default=float)
