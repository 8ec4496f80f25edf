"""Decisions of a second person about requested acts."""

from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

from credits.models import ActRequest
from mana_credits.back_office.acts import (
    act_requests,
    audit,
    balance_adjustments,
    gift_campaigns,
    grant_requests,
    new_operations,
    package_changes,
    price_changes,
    purchase_refunds,
)
from mana_credits.back_office.acts.act_requests import Kind, Request, Status
from mana_credits.back_office.acts.audit import AuditRecord, Justification, Operator

PERMISSION = "credits.approve_adjustment"
# Performs the act in the caller's transaction; may return what follows after the commit.
Effect = Callable[[Operator, ActRequest, AuditRecord, datetime], Callable[[], object] | None]


# Of each kind: the permission that the decider needs besides, and the effect.
KINDS: Mapping[str, tuple[str, Effect]] = {
    Kind.REVERSAL: ("credits.reverse_transaction", balance_adjustments.reverse_approved),
    Kind.REFUND: ("credits.refund_purchase", purchase_refunds.refund_approved),
    Kind.PRICE: ("credits.change_prices", price_changes.set_price_approved),
    Kind.OPERATION: (new_operations.PERMISSION, new_operations.operation_approved),
    Kind.PACKAGE: ("credits.change_packages", package_changes.package_approved),
    Kind.GRANTS: (grant_requests.PERMISSION, grant_requests.approved),
    Kind.GIFT_CAMPAIGN: (gift_campaigns.PERMISSION, gift_campaigns.approved),
}


def approve(
    operator: Operator, request_id: UUID, *, note: str, key: UUID, now: datetime
) -> ActRequest:
    """Approve a colleague's request and perform it.

    Raises NotPermitted, AlreadyDone, RequestDecided, CannotDecideOwnRequest, NotIndependent,
    and the errors of the act, which leave the request pending.
    """
    with audit.acting(operator, PERMISSION, why=Justification(note=note.strip()), key=key) as act:
        asked = act_requests.take_as_second_person(ActRequest, operator, request_id, now=now)
        permission, perform = KINDS[asked.kind]
        audit.require(operator, permission)
        act.user_id, act.subject = asked.user_id, asked.subject
        afterwards = perform(operator, asked, act, now)
        act.after = {"approved": asked.summary, "asked_by": asked.requested_by, **act.after}
        act_requests.decide(asked, Status.APPROVED, operator, now)
    if afterwards:
        afterwards()
    return asked


def reject(
    model: type[Request],
    operator: Operator,
    request_id: UUID,
    *,
    note: str,
    key: UUID,
    now: datetime,
) -> Request:
    """Reject a colleague's request with a note.

    Raises NotPermitted, AlreadyDone, NoteRequired, RequestDecided, CannotDecideOwnRequest,
    NotIndependent.
    """
    why = audit.require_note(Justification(note=note))
    with audit.acting(operator, PERMISSION, why=why, key=key) as act:
        asked = act_requests.take_as_second_person(model, operator, request_id, now=now)
        act_requests.decide(asked, Status.REJECTED, operator, now)
        act.user_id, act.subject = asked.user_id, asked.subject
        act.after = {"rejected": asked.summary, "asked_by": asked.requested_by}
        return asked
