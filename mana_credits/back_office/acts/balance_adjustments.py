"""Adjustments of balances by operators; above a limit a colleague must approve.

The limit is the sum of absolute amounts, in credits, that one operator may move on one account
within 24 hours. Above it the adjustment waits for a second person.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import Sum
from django.db.models.functions import Abs

from credits.amounts import exact
from credits.errors import DomainError
from credits.ledger import ledger
from credits.ledger.posting import Memo, Posting, UserUnknown
from credits.models import AdjustmentRequest, Balance, Transaction
from mana_credits.back_office.acts import audit
from mana_credits.back_office.acts.audit import Operator, Why

WINDOW = timedelta(hours=24)
APP_ID = "support"
Status = AdjustmentRequest.Status
Reason = AdjustmentRequest.Reason


class Preview(NamedTuple):
    """The effect of an adjustment: the balance, the new available, the need of approval."""

    balance: Balance
    available_after: Decimal
    needs_approval: bool
    left_alone: Decimal


class ReasonUnknown(DomainError):
    """The reason is not in the list."""

    code = "reason_unknown"
    message = "Choose a reason from the list"


class AlreadyReversed(DomainError):
    """The transaction is already reversed."""

    code = "already_reversed"
    status = 409
    message = "This transaction is already reversed"


class RequestDecided(DomainError):
    """The request is decided or does not exist. Details: `status`."""

    code = "request_decided"
    status = 409
    message = "This request is not pending"


class OwnRequest(DomainError):
    """An operator cannot decide about their own request."""

    code = "own_request"
    status = 403
    message = "You cannot decide about your own request"


def preview(operator: Operator, user_id: str, amount: Decimal, *, now: datetime) -> Preview:
    """Return the effect of `adjust` without moving credits. Raises UserUnknown, InvalidAmount."""
    exact(amount)
    balance = Balance.objects.filter(pk=user_id).first()
    if balance is None:
        raise UserUnknown
    left = max(settings.ADMIN_ADJUST_LIMIT - _moved(operator, user_id, now), Decimal(0))
    return Preview(balance, balance.available + amount, abs(amount) > left, left)


def adjust(
    operator: Operator, user_id: str, amount: Decimal, *, why: Why, key: UUID, now: datetime
) -> Posting | AdjustmentRequest:
    """Adjust a balance by a signed amount; above the operator's limit, request approval instead.

    Raises NotPermitted, AlreadyDone, NoteMissing, ReasonUnknown, InvalidAmount, UserUnknown.
    """
    why = _checked(why)
    with audit.acting(operator, "credits.adjust_balance", why=why, user_id=user_id, key=key) as act:
        # Lock the operator: two concurrent forms must not use the same remainder of the limit.
        list(get_user_model().objects.select_for_update().filter(username=operator.name))
        planned = preview(operator, user_id, amount, now=now)
        act.before = {"available": planned.balance.available}
        if planned.needs_approval:
            asked = _ask(operator, user_id, amount, why, now)
            act.subject = f"adjustment:{asked.pk}"
            act.after = {"requested": amount}
            return asked
        posting = _post(operator, user_id, amount, why, key=key)
        act.subject = f"transaction:{posting.transaction.pk}"
        act.after = {"amount": amount, "available": posting.balance.available}
        return posting


def approve(
    operator: Operator, request_id: UUID, *, note: str, key: UUID, now: datetime
) -> Posting:
    """Post a colleague's requested adjustment. Raises NotPermitted, RequestDecided, OwnRequest."""
    with audit.acting(
        operator, "credits.approve_adjustment", why=Why(note=note.strip()), key=key
    ) as act:
        asked = _pending(operator, request_id)
        why = Why(asked.reason, asked.note, asked.ticket)
        posting = _post(operator, asked.user_id, asked.amount, why, key=asked.pk)
        asked.transaction = posting.transaction
        _decide(asked, Status.APPROVED, operator, now)
        act.user_id = asked.user_id
        act.subject = f"adjustment:{asked.pk}"
        act.before = {"available": posting.balance.available - asked.amount}
        act.after = {"amount": asked.amount, "available": posting.balance.available}
        return posting


def reject(
    operator: Operator, request_id: UUID, *, note: str, key: UUID, now: datetime
) -> AdjustmentRequest:
    """Reject a colleague's requested adjustment with a note.

    Raises NotPermitted, RequestDecided, OwnRequest, NoteMissing.
    """
    why = audit.words(Why(note=note))
    with audit.acting(operator, "credits.approve_adjustment", why=why, key=key) as act:
        asked = _pending(operator, request_id)
        _decide(asked, Status.REJECTED, operator, now)
        act.user_id = asked.user_id
        act.subject = f"adjustment:{asked.pk}"
        act.after = {"rejected": asked.amount}
        return asked


def reverse(operator: Operator, transaction_id: UUID, *, why: Why, key: UUID) -> Posting:
    """Post the opposite of a transaction, once.

    Raises NotPermitted, AlreadyDone, NoteMissing, and what `ledger.reverse` does.
    """
    why = audit.words(why)
    with audit.acting(operator, "credits.reverse_transaction", why=why, key=key) as act:
        posting = ledger.reverse(transaction_id, memo=_memo("Reversal"), origin=operator.origin())
        if posting.replayed:
            raise AlreadyReversed
        act.user_id = posting.transaction.user_id
        act.subject = f"transaction:{transaction_id}"
        act.before = {"available": posting.balance.available - posting.transaction.amount}
        act.after = {
            "amount": posting.transaction.amount,
            "available": posting.balance.available,
        }
        return posting


def pending() -> int:
    """Return the number of pending requests."""
    return AdjustmentRequest.objects.filter(status=Status.PENDING).count()


def _checked(why: Why) -> Why:
    if why.reason not in Reason.values:
        raise ReasonUnknown
    return audit.words(why)


def _moved(operator: Operator, user_id: str, now: datetime) -> Decimal:
    """Return the sum of absolute amounts that the operator moved on this account in the window."""
    own = Transaction.objects.filter(
        user_id=user_id,
        type=Transaction.Type.ADJUSTMENT,
        actor=operator.actor,
        created_at__gt=now - WINDOW,
    )
    moved: Decimal | None = own.aggregate(moved=Sum(Abs("amount")))["moved"]
    return moved or Decimal(0)


def _ask(
    operator: Operator, user_id: str, amount: Decimal, why: Why, now: datetime
) -> AdjustmentRequest:
    return AdjustmentRequest.objects.create(
        user_id=user_id,
        amount=amount,
        reason=why.reason,
        note=why.note,
        ticket=why.ticket,
        status=Status.PENDING,
        requested_by=operator.name,
        requested_at=now,
    )


def _pending(operator: Operator, request_id: UUID) -> AdjustmentRequest:
    asked = AdjustmentRequest.objects.select_for_update().filter(pk=request_id).first()
    if asked is None or asked.status != Status.PENDING:
        raise RequestDecided(status=asked.status if asked else None)
    if asked.requested_by == operator.name:
        raise OwnRequest
    return asked


def _decide(asked: AdjustmentRequest, status: Status, operator: Operator, now: datetime) -> None:
    asked.status = status
    asked.decided_by = operator.name
    asked.decided_at = now
    asked.save()


def _post(operator: Operator, user_id: str, amount: Decimal, why: Why, *, key: UUID) -> Posting:
    return ledger.adjust(
        user_id,
        amount,
        memo=_memo(Reason(why.reason).label),
        origin=operator.origin(key=key),
    )


def _memo(description: str) -> Memo:
    """Return the text that the user sees: the reason, never the operator's note."""
    return Memo(APP_ID, description)
