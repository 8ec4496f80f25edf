"""The ledger: movements, reservations, idempotency keys, and the checks of the books.

This is the interface for movements: the verbs, the words that describe a movement, and the errors.
The other modules of this package are used by their own names.
"""

from credits.ledger.ledger import (
    NotReversible,
    adjust,
    balance_of,
    claw_back,
    credit_purchase,
    ensure_balance,
    grant,
    grant_cause,
    mark_settings,
    refund,
    reinstate,
    return_gift,
    reverse,
    reversible,
    spend,
)
from credits.ledger.outcomes import (
    BalanceTooLarge,
    ExceedsOriginal,
    IdempotencyKeyReused,
    InsufficientCredits,
    SpendingLimitReached,
    TransactionUnknown,
    UserUnknown,
)
from credits.ledger.posting import Memo, Origin, Posting, Priced

__all__ = [
    "BalanceTooLarge",
    "ExceedsOriginal",
    "IdempotencyKeyReused",
    "InsufficientCredits",
    "Memo",
    "NotReversible",
    "Origin",
    "Posting",
    "Priced",
    "SpendingLimitReached",
    "TransactionUnknown",
    "UserUnknown",
    "adjust",
    "balance_of",
    "claw_back",
    "credit_purchase",
    "ensure_balance",
    "grant",
    "grant_cause",
    "mark_settings",
    "refund",
    "reinstate",
    "return_gift",
    "reverse",
    "reversible",
    "spend",
]
