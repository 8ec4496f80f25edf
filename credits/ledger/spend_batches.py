"""Batches of spends of any users in one database call, with the same effect as `ledger.spend` each.

A refused item does not affect the others. A batch whose items have keys can be sent again.

On a Citus cluster each item is one call, because a statement can lock rows of one shard only.
"""

import json
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from django.conf import settings

from credits.amounts import InvalidAmount
from credits.catalogue.metered_prices import InvalidUnits
from credits.errors import DomainError
from credits.ids import new_id
from credits.ledger import ledger
from credits.ledger.db_functions import Routine
from credits.ledger.outcomes import DONE, Reached, error_for, movements
from credits.ledger.posting import Memo, Movement, Origin, Priced, movement_fingerprint
from credits.models import Transaction

LARGEST_BATCH = 1000


class Spend(NamedTuple):
    """One item of a batch; `key` is the user's idempotency key for it."""

    user_id: str
    amount: Decimal | Priced
    memo: Memo
    key: str | None = None


class BalanceAfter(NamedTuple):
    """The state of a balance after one item, in credits."""

    posted: Decimal
    held: Decimal
    total_earned: Decimal
    total_spent: Decimal

    @property
    def available(self) -> Decimal:
        """Return posted minus held: the credits that can be spent."""
        return self.posted - self.held


class Spent(NamedTuple):
    """The transaction of an item and the balance after it; `replayed` if nothing was moved."""

    transaction: Transaction
    balance: BalanceAfter
    replayed: bool


class _Answer(NamedTuple):
    place: int
    outcome: str
    required: Decimal | None
    posted: Decimal
    held: Decimal
    total_earned: Decimal
    total_spent: Decimal
    reached: Reached | None
    entry: Transaction | None


_spend_batch = Routine("credits.spend_batch", _Answer, ("items", "actor", "request_id", "at"))


def spend_all(items: Sequence[Spend], *, origin: Origin) -> list[Spent | DomainError]:
    """Post the items in order, as `ledger.spend` would; return the result or error of each item.

    Errors of items are returned, not raised. The origin's key is ignored, because each item has its
    own.
    """
    if settings.DATABASE_SHARDED:
        return [_spend(item, origin) for item in items]
    # Only valid items are sent. `places` maps the database's answers to the places in `items`.
    outcomes: list[Spent | DomainError | None] = [None] * len(items)
    sent, places = [], []
    for place, item in enumerate(items):
        try:
            sent.append(_sql_item(item, ledger.usage_movement(item.amount), origin))
        except (InvalidAmount, InvalidUnits) as refusal:
            outcomes[place] = refusal
        else:
            places.append(place)
    for place, outcome in zip(places, _post(sent, origin), strict=True):
        outcomes[place] = outcome
    return [outcome for outcome in outcomes if outcome is not None]


def _spend(item: Spend, origin: Origin) -> Spent | DomainError:
    keyed = origin._replace(key=item.key)
    try:
        posting = ledger.spend(item.user_id, item.amount, memo=item.memo, origin=keyed)
    except DomainError as refusal:
        return refusal
    columns = (getattr(posting.balance, name) for name in BalanceAfter._fields)
    return Spent(posting.transaction, BalanceAfter(*columns), replayed=posting.replayed)


def _post(items: list[dict[str, Any]], origin: Origin) -> list[Spent | DomainError]:
    if not items:
        return []
    answers = _spend_batch.rows(
        items=json.dumps(items, default=float),
        actor=origin.actor,
        request_id=origin.request_id,
        at=origin.at,
    )
    for outcome, count in Counter(answer.outcome for answer in answers).items():
        movements(Transaction.Type.USAGE, outcome).inc(count)
    return [_outcome(answer) for answer in answers]


def _outcome(answer: _Answer) -> Spent | DomainError:
    balance = BalanceAfter(answer.posted, answer.held, answer.total_earned, answer.total_spent)
    if answer.outcome in DONE and answer.entry is not None:
        return Spent(answer.entry, balance, replayed=answer.outcome == "replayed")
    # A user without a balance row has no state.
    known = None if answer.posted is None else balance
    return error_for(
        answer.outcome, required=answer.required, balance=known, reached=answer.reached
    )


def _sql_item(item: Spend, movement: Movement, origin: Origin) -> dict[str, Any]:
    amount, memo = movement.amount, item.memo
    priced = amount if isinstance(amount, Priced) else None
    keyed = origin._replace(key=item.key)
    return {
        "subject_id": str(new_id()),
        "user_id": item.user_id,
        # As text: PostgreSQL reads it as an exact numeric, and JSON numbers would pass through a
        # double.
        "amount": None if priced else str(-amount),  # type: ignore[operator]
        "operation": priced and priced.operation,
        "quantity": priced and priced.quantity,
        "metering": priced and priced.metering,
        "app_id": memo.app_id,
        "description": memo.description,
        "metadata": memo.metadata,
        "key": item.key,
        "fingerprint": movement_fingerprint(movement, memo, keyed),
    }
