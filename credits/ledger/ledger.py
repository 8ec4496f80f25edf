"""The write path: every movement of credits is one function here and one call of the database.

Amounts are credits. Each function takes a `memo` (the texts of the transaction) and an `origin`
(the actor and the idempotency key), and returns a Posting. Besides the errors in its docstring,
each may raise InvalidAmount, IdempotencyKeyReused and BalanceTooLarge.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple, cast
from uuid import UUID

from credits.amounts import exact, positive
from credits.catalogue.metered_prices import require_units
from credits.errors import DomainError
from credits.ids import new_id
from credits.ledger import credit_lots
from credits.ledger.db_functions import Lookup, Routine, call
from credits.ledger.outcomes import TransactionUnknown
from credits.ledger.posting import Memo, Movement, Origin, Posting, Priced, post
from credits.models import Balance, Transaction
from credits.postgresql.atomicity import transaction_required

Type = Transaction.Type
# Post a reversal's original again, cancel the gift, refund the purchase, or post an adjustment.
# Otherwise the next act on the gift, or report of the money, would move the same credits twice.
NOT_REVERSIBLE = frozenset(
    {Type.REVERSAL, Type.GIFT, Type.PURCHASE, Type.CLAWBACK, Type.REINSTATEMENT}
)


class _Ensured(NamedTuple):
    balance: Balance | None


_balance = Lookup(Balance)
_ensure_balance = Routine(
    "credits.post_transaction", _Ensured, ("subject_id", "user_id", "actor", "request_id", "at")
)


class NotReversible(DomainError):
    """The transaction is a reversal, or follows a gift or money that Stripe reports."""

    code = "not_reversible"
    message = "This transaction cannot be reversed"


def spend(
    user_id: str,
    amount: Decimal | Priced,
    *,
    memo: Memo,
    origin: Origin,
    cause: str | None = None,
) -> Posting:
    """Post a usage: take credits that the user spends, once per `cause` if given.

    Raises InsufficientCredits, SpendingLimitReached, OperationUnknown if the catalogue does not
    offer the operation, and UnitsRequired, OperationNotMetered, UnknownUnit, InvalidUnits.
    """
    return post(user_id, usage_movement(amount, cause=cause), memo, origin)


def usage_movement(amount: Decimal | Priced, *, cause: str | None = None) -> Movement:
    """Return the movement of a spend. Raises InvalidAmount, InvalidUnits."""
    # A priced amount has no sign: the database computes the price at the time of the movement and
    # takes it from the balance.
    taken = amount if isinstance(amount, Priced) else -positive(amount)
    if isinstance(taken, Priced) and taken.units is not None:
        require_units(taken.units)
    return Movement(Type.USAGE, taken, counts_as="spent", cause=cause)


def refund(
    user_id: str, amount: Decimal, *, memo: Memo, origin: Origin, usage_id: UUID | None = None
) -> Posting:
    """Give back used credits. The refunds of `usage_id`, if given, are at most its amount in sum.

    A refund lowers the lifetime total spent; the part that exceeds it counts as earned. Raises
    UserUnknown, TransactionUnknown, ExceedsOriginal.
    """
    movement = Movement(Type.REFUND, positive(amount), counts_as="spent", related_id=usage_id)
    return post(user_id, movement, memo, origin)


def grant(
    user_id: str,
    amount: Decimal,
    *,
    memo: Memo,
    origin: Origin,
    cause: str,
    expires_at: datetime | None = None,
) -> Posting:
    """Grant credits without payment, once per `cause`; what is left at `expires_at` expires.

    Raises InvalidCreditExpiry.
    """
    # Before the call: the limit in days is a rule of this service, not of the database.
    credit_lots.require_bounded(expires_at, now=origin.at or datetime.now(UTC))
    movement = Movement(Type.GRANT, positive(amount), cause=cause, expires_at=expires_at)
    return post(user_id, movement, memo, origin)


def grant_cause(user_id: str, reference: str) -> str:
    """Return the cause of the grant with the caller's `reference`, unique per user.

    It includes the length of the user id, because ids and references may contain colons.
    """
    return f"grant:{len(user_id)}:{user_id}:{reference}"


def credit_purchase(
    user_id: str,
    amount: Decimal,
    *,
    memo: Memo,
    origin: Origin,
    purchase_id: UUID,
    expires_at: datetime | None = None,
) -> Posting:
    """Credit a paid purchase, once; what is left at `expires_at` expires."""
    cause = f"purchase:{purchase_id}"
    movement = Movement(Type.PURCHASE, positive(amount), cause=cause, expires_at=expires_at)
    return post(user_id, movement, memo, origin)


def adjust(user_id: str, amount: Decimal, *, memo: Memo, origin: Origin) -> Posting:
    """Post an operator's signed adjustment, which may take available below zero."""
    # An operator's correction must be possible whatever the balance, e.g. of credits that were
    # spent already.
    movement = Movement(Type.ADJUSTMENT, exact(amount), may_overdraw=True)
    return post(user_id, movement, memo, origin)


def reverse(transaction_id: UUID, *, memo: Memo, origin: Origin) -> Posting:
    """Post the opposite of a transaction, once; may take available below zero.

    Raises TransactionUnknown, NotReversible, and ExceedsOriginal if a part was already given back.
    """
    # Without a lock, because transactions never change. The database refuses a second reversal by
    # the cause, and a reversal after a partial refund by the sum of what was given back.
    original = Transaction.objects.filter(pk=transaction_id).first()
    if original is None:
        raise TransactionUnknown
    if not reversible(original):
        raise NotReversible
    movement = Movement(
        Type.REVERSAL,
        -original.amount,
        # The opposite of a usage or refund must undo what that did to the total spent.
        counts_as="spent" if original.type in {Type.USAGE, Type.REFUND} else "earned",
        may_overdraw=True,
        cause=f"reversal:{original.pk}",
        related_id=original.pk,
    )
    return post(original.user_id, movement, memo, origin)


def reversible(original: Transaction) -> bool:
    """Return whether transactions of this type can be reversed."""
    return original.type not in NOT_REVERSIBLE


def claw_back(user_id: str, amount: Decimal, *, memo: Memo, origin: Origin, cause: str) -> Posting:
    """Take credits whose money was returned, once per `cause`; may take available below zero.

    Unlike other movements, it does not first post what has expired: call `ensure_balance` before
    `amount` is computed.
    """
    # The money is gone at Stripe whether or not the credits were spent. A debt remains visible in
    # the balance.
    movement = Movement(Type.CLAWBACK, -positive(amount), may_overdraw=True, cause=cause)
    return post(user_id, movement, memo, origin)


def reinstate(claw_back_id: UUID, *, memo: Memo, origin: Origin) -> Posting:
    """Give back exactly the credits of a claw-back, once. Raises TransactionUnknown."""
    # By the claw-back's own amount: the shares of several refunds are rounded, and their
    # reinstatement must cancel them exactly.
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


def return_gift(
    user_id: str, amount: Decimal, *, memo: Memo, origin: Origin, gift_id: UUID, payment_id: UUID
) -> Posting:
    """Return a gift's credits, paid by the transaction `payment_id`, to its creator, once.

    Lowers the lifetime total spent. Raises TransactionUnknown, ExceedsOriginal.
    """
    movement = Movement(
        Type.GIFT,
        positive(amount),
        counts_as="spent",
        # The same cause as that of a redemption, so that a gift's credits arrive once: at the
        # redeemer or back at the creator.
        cause=f"gift:{gift_id}",
        related_id=payment_id,
        fingerprint=("return", gift_id),
    )
    return post(user_id, movement, memo, origin)


def ensure_balance(user_id: str, *, origin: Origin) -> Balance:
    """Return the user's balance; create the row if it is missing. Locks the row until commit."""
    answer = _ensure_balance(
        subject_id=new_id(),
        user_id=user_id,
        actor=origin.actor,
        request_id=origin.request_id,
        at=origin.at,
    )
    return cast("Balance", answer.balance)


@transaction_required
def mark_settings(user_id: str) -> None:
    """Note on the user's locked balance whether a movement must read the user's settings."""
    call("credits.mark_settings", user_id=user_id)


def balance_of(user_id: str) -> Balance:
    """Return the user's balance; all zeros if there is none. Does not create a row.

    Credits that have expired are left out, whether or not their expiry is posted.
    """
    balance = _balance(user_id)
    # Nearly all users have no credits that expire, so that one lookup by primary key is enough.
    if balance is not None and balance.next_expiry is not None:
        balance = credit_lots.balance_at(user_id, now=datetime.now(UTC))
    return balance or Balance(
        user_id=user_id,
        posted=Decimal(0),
        held=Decimal(0),
        total_earned=Decimal(0),
        total_spent=Decimal(0),
        last_number=0,
        version=0,
    )
