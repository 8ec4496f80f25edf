"""Requests for acts that need a second person: asked, withdrawn, and taken up for a decision.

`approvals` decides about them. Adjustments have a table of their own, because each names the
transaction that it posted; `balance_adjustments` approves them.
"""

from datetime import datetime
from typing import Any, NamedTuple, TypeVar, cast
from uuid import UUID

from django.db import IntegrityError, transaction

from credits.errors import DomainError
from credits.ledger import campaign_grants
from credits.models import ActRequest, AdjustmentRequest
from mana_credits.back_office.acts import audit, second_person
from mana_credits.back_office.acts.audit import AuditRecord, Justification, Operator

Kind = ActRequest.Kind
Status = ActRequest.Status
Request = TypeVar("Request", bound=ActRequest | AdjustmentRequest)


class WantedAct(NamedTuple):
    """An act that needs approval: its subject, its arguments and a summary for people."""

    kind: ActRequest.Kind
    subject: str
    arguments: dict[str, Any]
    summary: str
    user_id: str | None = None


class AlreadyRequested(DomainError):
    """A request for the same act on the same row is pending."""

    code = "already_requested"
    status = 409
    message = "A request for this is pending already: decide about it or withdraw it first"


class RequestDecided(DomainError):
    """The request is decided or does not exist. Details: `status`."""

    code = "request_decided"
    status = 409
    message = "This request is not pending"


class NotYourRequest(DomainError):
    """Only the operator who asked can withdraw a request."""

    code = "not_your_request"
    status = 403
    message = "Only the person who asked can withdraw this request"


def ask(
    operator: Operator, wanted: WantedAct, act: AuditRecord, *, why: Justification, now: datetime
) -> ActRequest:
    """Request an act, within the caller's act. Raises AlreadyRequested."""
    try:
        # A savepoint: the violated constraint must not abort the act's transaction, which the
        # caller ends.
        with transaction.atomic():
            asked = ActRequest.objects.create(
                **wanted._asdict(), **why._asdict(), requested_by=operator.name, requested_at=now
            )
    except IntegrityError as error:
        raise AlreadyRequested from error
    act.subject = wanted.subject
    act.user_id = wanted.user_id
    act.after = {"requested": wanted.summary}
    return asked


def withdraw(
    model: type[Request], operator: Operator, request_id: UUID, *, key: UUID, now: datetime
) -> Request:
    """Withdraw one's own pending request. Raises AlreadyDone, RequestDecided, NotYourRequest."""
    with audit.acting_by_oneself(
        operator, "request_withdrawn", why=Justification(), key=key
    ) as act:
        asked = take_as_own(model, operator, request_id)
        decide(asked, Status.WITHDRAWN, operator, now)
        act.user_id, act.subject = asked.user_id, asked.subject
        act.after = {"withdrawn": asked.summary}
        return asked


def take(model: type[Request], request_id: UUID) -> Request:
    """Lock and return a pending request. Raises RequestDecided."""
    # The lock makes the second of two deciders wait, and then see that it is decided.
    asked = model.objects.select_for_update().filter(pk=request_id).first()
    if asked is None or asked.status != Status.PENDING:
        raise RequestDecided(status=asked.status if asked else None)
    return cast("Request", asked)


def take_as_own(model: type[Request], operator: Operator, request_id: UUID) -> Request:
    """Lock and return one's own pending request. Raises RequestDecided, NotYourRequest."""
    asked = take(model, request_id)
    if asked.requested_by != operator.name:
        raise NotYourRequest
    return asked


def take_as_second_person(
    model: type[Request], operator: Operator, request_id: UUID, *, now: datetime
) -> Request:
    """Lock and return a colleague's request.

    Raises RequestDecided, CannotDecideOwnRequest, NotIndependent.
    """
    asked = take(model, request_id)
    second_person.require_independent(asked.requested_by, operator.name, now=now)
    return asked


def decide(
    asked: ActRequest | AdjustmentRequest, status: str, operator: Operator, now: datetime
) -> None:
    """Store the decision. A campaign of grants takes the state that follows from it."""
    asked.status = status
    asked.decided_by = operator.name
    asked.decided_at = now
    asked.save()
    if isinstance(asked, ActRequest):
        campaign_grants.decide(asked)


def pending() -> int:
    """Return the number of pending requests."""
    return ActRequest.objects.filter(status=Status.PENDING).count()
