"""The outcomes of a movement: the errors by the codes of the database functions, and the counters.

A database function returns the outcome: `posted`, `replayed`, or the code of one of these errors or
of an error of prices or lots. Amounts are credits.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Protocol

from prometheus_client import Counter

from credits.catalogue import catalogue  # noqa: F401  # defines the error for unknown_operation
from credits.errors import DomainError

DONE = frozenset({"posted", "replayed"})

MOVEMENTS = Counter(
    "mana_credits_movements_total",
    "Requested movements of credits, by kind and outcome.",
    ("kind", "outcome"),
)


class InsufficientCredits(DomainError):
    """The movement would take available below zero. Details: `required`, `available`."""

    code = "insufficient_credits"
    status = 402
    message = "Insufficient credits"

    def __init__(self, *, required: Decimal, available: Decimal) -> None:
        super().__init__(required=required, available=available)
        self.required = required


class SpendingLimitReached(DomainError):
    """The spend would exceed a monthly limit that the user has set.

    Details: `limit`, `spent` (in the UTC month, with the open reservations), and `app`, null for
    the limit over all apps.
    """

    code = "spending_limit_reached"
    status = 402
    message = "The user's monthly spending limit is reached"

    def __init__(self, *, limit: Decimal, spent: Decimal, app: str | None) -> None:
        super().__init__(limit=limit, spent=spent, app=app)
        self.limit = limit


class IdempotencyKeyReused(DomainError):
    """The user has used this idempotency key for another request."""

    code = "idempotency_key_reused"
    status = 409
    message = "This idempotency key was used for another request"


class UserUnknown(DomainError):
    """A refund is requested for a user without a balance."""

    code = "user_not_found"
    status = 404
    message = "This user has no balance"


class TransactionUnknown(DomainError):
    """The user does not have this transaction, or the transaction to refund is not a usage."""

    code = "transaction_not_found"
    status = 404
    message = "Transaction not found"


class ExceedsOriginal(DomainError):
    """The refunds would exceed the amount of the original transaction."""

    code = "exceeds_original"
    field = "amount"
    message = "The amount exceeds what is left to give back of the original transaction"


class BalanceTooLarge(DomainError):
    """A total of the balance would have more than 15 digits."""

    code = "balance_too_large"
    field = "amount"
    message = "The balance would become too large"


class HasAvailable(Protocol):
    """A balance, or the state of a balance after an item of a batch."""

    @property
    def available(self) -> Decimal:
        """Return the credits that can be spent."""


Reached = Mapping[str, str | None]


def error_for(
    outcome: str,
    *,
    required: Decimal | None = None,
    balance: HasAvailable | None = None,
    reached: Reached | None = None,
) -> DomainError:
    """Return the DomainError whose code a database function returned as its `outcome`."""
    if outcome == InsufficientCredits.code:
        available = balance.available if balance else Decimal(0)
        return InsufficientCredits(required=required or Decimal(0), available=available)
    # Like the one above, this error has details, so its code alone cannot make it.
    if reached is not None:
        limit, spent = (Decimal(reached[name] or 0) for name in ("limit", "spent"))
        return SpendingLimitReached(limit=limit, spent=spent, app=reached["app"])
    return DomainError.by_code[outcome]()


@cache
def movements(kind: str, outcome: str) -> Counter:
    """Return the counter of one kind (`usage`, `reserve` …) and outcome (`posted` …).

    A movement is counted when the database answers. Its transaction may still be rolled back.
    """
    return MOVEMENTS.labels(kind, outcome)
