"""The write path: every movement of credits is one verb here, and one call of the database.

Amounts are credits. Each verb takes `memo`, what the entry says, and `origin`, who asked; each
returns a Posting and raises the DomainErrors it names, besides InvalidAmount,
IdempotencyKeyReused and BalanceTooLarge, which any of them may.
"""

from decimal import Decimal
from typing import cast
from uuid import UUID

from credits.amounts import exact, positive
from credits.errors import DomainError
from credits.ledger.db_functions import Lookup
from credits.ledger.posting import (
    REFUSALS,
    IdempotencyKeyReused,
    Memo,
    Movement,
    Origin,
    Posting,
    Priced,
    TransactionUnknown,
    call,
    post,
)
from credits.models import Balance, IdempotencyKey, Transaction

Type = Transaction.Type

_balance = Lookup(Balance)


class NotReversible(DomainError):
    """A reversal is not reversed, its original is posted anew; a gift is not, it is cancelled."""

    code = "not_reversible"
    message = "A reversal or a gift cannot be reversed"


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
    return post(user_id, Movement(Type.USAGE, taken, side="spent", cause=cause), memo, origin)


def refund(
    user_id: str, amount: Decimal, *, memo: Memo, origin: Origin, usage_id: UUID | None = None
) -> Posting:
    """Give back used credits; of one usage at most what it took, in sum, when it is named.

    Lowers the lifetime total spent; what exceeds that counts as earned. Raises UserUnknown,
    TransactionUnknown, ExceedsOriginal.
    """
    movement = Movement(Type.REFUND, positive(amount), side="spent", related_id=usage_id)
    return post(user_id, movement, memo, origin)


def grant(user_id: str, amount: Decimal, *, memo: Memo, origin: Origin, cause: str) -> Posting:
    """Give credits without payment, once per `cause`."""
    movement = Movement(Type.GRANT, positive(amount), cause=cause)
    return post(user_id, movement, memo, origin)


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
    return post(user_id, movement, memo, origin)


def adjust(user_id: str, amount: Decimal, *, memo: Memo, origin: Origin) -> Posting:
    """Post an operator's signed correction; may take available below zero."""
    movement = Movement(Type.ADJUSTMENT, exact(amount), may_overdraw=True)
    return post(user_id, movement, memo, origin)


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
    return post(original.user_id, movement, memo, origin)


def reversible(original: Transaction) -> bool:
    """Tell whether a transaction is of a type that can be reversed."""
    return original.type not in {Type.REVERSAL, Type.GIFT}


def claw_back(user_id: str, amount: Decimal, *, memo: Memo, origin: Origin, cause: str) -> Posting:
    """Take credits because their money went back, once per `cause`; may leave a debt."""
    movement = Movement(Type.CLAWBACK, -positive(amount), may_overdraw=True, cause=cause)
    return post(user_id, movement, memo, origin)


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
    return post(taken.user_id, movement, memo, origin)


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
    return post(user_id, movement, memo, origin)


def receive_gift(
    user_id: str, amount: Decimal, *, memo: Memo, origin: Origin, gift_id: UUID
) -> Posting:
    """Give the user what is in a gift; its credits arrive once, here or by `return_gift`."""
    movement = Movement(
        Type.GIFT, positive(amount), cause=f"gift:{gift_id}", request=("redeem", gift_id)
    )
    return post(user_id, movement, memo, origin)


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
    return post(user_id, movement, memo, origin)


def open_balance(user_id: str, *, origin: Origin) -> Balance:
    """Return the user's balance, making the row when there is none; locks it in a transaction."""
    unkeyed = origin._replace(key=None)
    _, _, _, balance = call(user_id, Movement(None, Decimal(0)), Memo(), unkeyed)
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
        outcome, *_ = call(user_id, Movement(None, Decimal(0)), Memo(), origin, subject_id)
        if outcome in REFUSALS:
            raise REFUSALS[outcome]


def forget(user_id: str, *, subject_id: UUID) -> None:
    """Let the key of a row that is no more be new again."""
    IdempotencyKey.objects.filter(user_id=user_id, subject_id=subject_id).delete()
