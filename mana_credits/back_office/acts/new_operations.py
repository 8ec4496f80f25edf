"""New operations of the catalogue. A second person confirms each one with its first price."""

from datetime import datetime
from uuid import UUID

from credits.catalogue import catalogue
from credits.catalogue.catalogue import AnyPrice, NewOperation
from credits.models import ActRequest
from mana_credits.back_office.acts import act_requests, audit, price_changes
from mana_credits.back_office.acts.act_requests import WantedAct
from mana_credits.back_office.acts.audit import AuditRecord, Justification, Operator

PERMISSION = "credits.change_prices"


def request_operation(
    operator: Operator,
    new: NewOperation,
    first: AnyPrice,
    *,
    why: Justification,
    key: UUID,
    now: datetime,
) -> ActRequest:
    """Request a new operation with its first price. Nothing is on offer before it is approved.

    Raises NotPermitted, AlreadyDone, NoteRequired, AlreadyRequested, and what
    `catalogue.create_operation` does.
    """
    why = audit.require_note(why)
    with audit.acting(operator, PERMISSION, why=why, key=key) as act:
        catalogue.require_valid_operation(new)
        catalogue.require_valid(new.key, first)
        # Always, because ADMIN_PRICE_FACTOR compares with an earlier price, and there is none.
        return act_requests.ask(operator, _wanted(new, first), act, why=why, now=now)


def operation_approved(
    operator: Operator, asked: ActRequest, act: AuditRecord, now: datetime
) -> None:
    """Create an approved operation. Raises what `catalogue.create_operation` does."""
    created = catalogue.create_operation(
        described(asked), price_changes.price_from(asked.arguments), actor=operator.actor, now=now
    )
    act.after = {"name": created.name, **price_changes.priced(created)}


def described(asked: ActRequest) -> NewOperation:
    """Return the requested operation."""
    return NewOperation(**asked.arguments["new"])


def _wanted(new: NewOperation, first: AnyPrice) -> WantedAct:
    # "may overdraw" comes first, because a long summary is cut off at its end.
    named = new.key + (", which may overdraw" if price_changes.overdraws(first) else "")
    summary = f"New operation {named}: {price_changes.price_text(first)}"
    return WantedAct(
        act_requests.Kind.OPERATION,
        f"operation:{new.key}",
        {"new": new._asdict(), **price_changes.as_arguments(first)},
        summary[: price_changes.SUMMARY_LENGTH],
    )
