"""Adjustments of balances and reversals by operators; above a limit a colleague must approve.

`second_person` says what the limit is. Above it the act waits for a second person.
"""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from credits import ledger
from credits.amounts import exact
from credits.errors import DomainError
from credits.ledger import Memo, Posting, TransactionUnknown, UserUnknown
from credits.models import ActRequest, AdjustmentRequest, Balance, Transaction
from credits.postgresql import advisory_locks
from mana_credits.back_office.acts import act_requests, audit, second_person
from mana_credits.back_office.acts.act_requests import Kind, WantedAct
from mana_credits.back_office.acts.audit import AuditRecord, Justification, Operator
from mana_credits.back_office.templatetags.office import signed_credits

APP_ID = "support"
Status = AdjustmentRequest.Status
Reason = AdjustmentRequest.Reason


class AdjustmentPreview(NamedTuple):
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


def preview(
    operator: Operator, user_id: str, amount: Decimal, *, now: datetime
) -> AdjustmentPreview:
    """Return the effect of `adjust` without moving credits. Raises UserUnknown, InvalidAmount."""
    exact(amount)
    if not Balance.objects.filter(pk=user_id).exists():
        raise UserUnknown
    balance = ledger.balance_of(user_id)
    left = second_person.left_alone(operator, user_id, now=now)
    return AdjustmentPreview(balance, balance.available + amount, abs(amount) > left, left)


def adjust(
    operator: Operator,
    user_id: str,
    amount: Decimal,
    *,
    why: Justification,
    key: UUID,
    now: datetime,
) -> Posting | AdjustmentRequest:
    """Adjust a balance by a signed amount; above the operator's limit, request approval instead.

    Raises NotPermitted, AlreadyDone, NoteRequired, ReasonUnknown, InvalidAmount, UserUnknown.
    """
    why = _checked(why)
    with audit.acting(operator, "credits.adjust_balance", why=why, user_id=user_id, key=key) as act:
        # Locked before the limit is read, so that two forms sent at once cannot both use the rest
        # of it.
        second_person.lock(operator)
        planned = preview(operator, user_id, amount, now=now)
        act.before = {"available": planned.balance.available}
        if planned.needs_approval:
            asked = _ask(operator, user_id, amount, why, now)
            act.subject = asked.subject
            act.after = {"requested": amount}
            return asked
        posting = _post(operator, user_id, amount, why, key=key)
        act.subject = f"transaction:{posting.transaction.pk}"
        act.moved = abs(amount)
        act.after = {"amount": amount, "available": posting.balance.available}
        return posting


def approve(
    operator: Operator, request_id: UUID, *, note: str, key: UUID, now: datetime
) -> Posting:
    """Post a colleague's requested adjustment.

    Raises NotPermitted, RequestDecided, CannotDecideOwnRequest, NotIndependent.
    """
    with audit.acting(
        operator, "credits.approve_adjustment", why=Justification(note=note.strip()), key=key
    ) as act:
        asked = act_requests.take_as_second_person(AdjustmentRequest, operator, request_id, now=now)
        why = Justification(asked.reason, asked.note, asked.ticket)
        # The request's id is the key, so the adjustment is posted once even if it is approved
        # again.
        posting = _post(operator, asked.user_id, asked.amount, why, key=asked.pk)
        asked.transaction = posting.transaction
        act_requests.decide(asked, Status.APPROVED, operator, now)
        act.user_id, act.subject = asked.user_id, asked.subject
        act.before = {"available": posting.balance.available - asked.amount}
        act.after = {"amount": asked.amount, "available": posting.balance.available}
        return posting


def lock(user_id: str) -> None:
    """Let one adjustment of an account at a time be checked and posted, until the commit."""
    advisory_locks.lock(advisory_locks.Kind.ADJUSTMENT, user_id)


def reverse(
    operator: Operator, transaction_id: UUID, *, why: Justification, key: UUID, now: datetime
) -> Posting | ActRequest:
    """Post the opposite of a transaction, once; above the operator's limit, request approval.

    Raises NotPermitted, AlreadyDone, NoteRequired, AlreadyReversed, AlreadyRequested, and what
    `ledger.reverse` does.
    """
    why = audit.require_note(why)
    with audit.acting(operator, "credits.reverse_transaction", why=why, key=key) as act:
        original = Transaction.objects.filter(pk=transaction_id).first()
        if original is None:
            raise TransactionUnknown
        second_person.lock(operator)
        left = second_person.left_alone(operator, original.user_id, now=now)
        # A reversal that is impossible is refused now, not after a colleague has approved it.
        if abs(original.amount) > left and _is_open(original):
            return act_requests.ask(operator, _reversal(original), act, why=why, now=now)
        posting = _reverse(operator, transaction_id, act)
        act.moved = abs(original.amount)
        return posting


def reverse_approved(
    operator: Operator, asked: ActRequest, act: AuditRecord, now: datetime
) -> None:
    """Post an approved reversal. Raises AlreadyReversed and what `ledger.reverse` does."""
    _reverse(operator, UUID(asked.arguments["transaction_id"]), act)


def _is_open(original: Transaction) -> bool:
    """Return whether a reversal is possible. Posting an impossible one raises the error."""
    reversed_before = Transaction.objects.filter(
        related=original, type=Transaction.Type.REVERSAL
    ).exists()
    return ledger.reversible(original) and not reversed_before


def _reversal(original: Transaction) -> WantedAct:
    return WantedAct(
        Kind.REVERSAL,
        f"transaction:{original.pk}",
        {"transaction_id": str(original.pk)},
        f"Reverse a movement of {signed_credits(original.amount)}",
        original.user_id,
    )


def _reverse(operator: Operator, transaction_id: UUID, act: AuditRecord) -> Posting:
    # Without a key, because the cause already makes a reversal unique.
    posting = ledger.reverse(transaction_id, memo=_memo("Reversal"), origin=operator.origin())
    # The cause of a reversal is its original, so a replay means that somebody was faster.
    if posting.replayed:
        raise AlreadyReversed
    moved = posting.transaction.amount
    act.user_id = posting.transaction.user_id
    act.subject = f"transaction:{transaction_id}"
    act.before = {"available": posting.balance.available - moved}
    act.after = {"amount": moved, "available": posting.balance.available}
    return posting


def pending() -> int:
    """Return the number of pending requests, of adjustments and of other acts."""
    waiting = AdjustmentRequest.objects.filter(status=Status.PENDING).count()
    return waiting + act_requests.pending()


def _checked(why: Justification) -> Justification:
    if why.reason not in Reason.values:
        raise ReasonUnknown
    return audit.require_note(why)


def _ask(
    operator: Operator, user_id: str, amount: Decimal, why: Justification, now: datetime
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


def _post(
    operator: Operator, user_id: str, amount: Decimal, why: Justification, *, key: UUID
) -> Posting:
    return ledger.adjust(
        user_id,
        amount,
        memo=_memo(Reason(why.reason).label),
        origin=operator.origin(key=key),
    )


def _memo(description: str) -> Memo:
    """Return the text that the user sees: the reason, never the operator's note."""
    return Memo(APP_ID, description)
