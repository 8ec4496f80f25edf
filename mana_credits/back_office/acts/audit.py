"""Acts of operators: permission, audit trail and effect in one transaction.

Every act of the back office goes through `acting`. A form's key acts once, however often the form
is sent.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction

from credits.errors import DomainError
from credits.ids import new_id
from credits.ledger import Origin
from credits.ledger.db_functions import call
from credits.models import StaffAction
from credits.postgresql import advisory_locks

_condition: ContextVar[Callable[[], None] | None] = ContextVar("condition", default=None)


class Operator(NamedTuple):
    """A member of staff: name, permissions, and the client address and id of the request.

    `looks_because` is the reason that they gave for looking at accounts, if any.
    """

    name: str
    may: Callable[[str], bool]
    address: str = ""
    request_id: str = ""
    looks_because: str = ""

    @property
    def actor(self) -> str:
        """Return the actor of their transactions."""
        return f"operator:{self.name}"

    def origin(self, *, at: datetime | None = None, key: UUID | None = None) -> Origin:
        """Return the origin of the operator's movements; `key` is the form's key."""
        return Origin(
            self.actor,
            key=f"staff:{key}" if key else None,
            request_id=self.request_id or None,
            at=at,
        )


class Justification(NamedTuple):
    """The justification of an act: a listed reason, a note, an optional link to a ticket."""

    reason: str = ""
    note: str = ""
    ticket: str = ""


@dataclass
class AuditRecord:
    """The audit record of an act: plain values `before` and `after` it."""

    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    user_id: str | None = None
    subject: str = ""
    moved: Decimal | None = None


class NotPermitted(DomainError):
    """The operator lacks the permission. Details: `permission`."""

    code = "not_permitted"
    status = 403
    message = "You do not have the permission for this"


class AlreadyDone(DomainError):
    """This form was sent before and has acted."""

    code = "already_done"
    status = 409
    message = "This form was already submitted; it took effect once"


class AlreadyInState(DomainError):
    """The object is already in the requested state."""

    code = "so_already"
    status = 409
    message = "The object is already in the requested state; nothing was changed"


class NoteRequired(DomainError):
    """The act needs a note, but the note is empty."""

    code = "note_missing"
    message = "The note is empty"


def require(operator: Operator, permission: str) -> None:
    """Raise NotPermitted unless the operator has the permission."""
    if not operator.may(permission):
        raise NotPermitted(permission=permission)


@contextmanager
def acting(
    operator: Operator,
    permission: str,
    *,
    why: Justification,
    key: UUID,
    subject: str = "",
    user_id: str | None = None,
) -> Iterator[AuditRecord]:
    """Run the body as one act of the operator, and record it with the values set on the record.

    The record commits with the body's effects. Raises NotPermitted, AlreadyDone, AlreadyInState if
    the values `before` and `after` are equal, and the body's errors, which roll everything back.
    """
    require(operator, permission)
    with acting_by_oneself(operator, permission, why=why, key=key) as act:
        act.user_id, act.subject = user_id, subject
        yield act


@contextmanager
def only_if(condition: Callable[[], None]) -> Iterator[None]:
    """Check a condition in the transaction of the body's first act, before the act's effects.

    The condition locks the rows that it reads, and raises to refuse the act. It is not checked for
    a form that acted before.
    """
    token = _condition.set(condition)
    try:
        yield
    finally:
        _condition.reset(token)


@contextmanager
def acting_by_oneself(
    operator: Operator, action: str, *, why: Justification, key: UUID
) -> Iterator[AuditRecord]:
    """Run the body as `acting` does, on the operator's own objects, without a permission."""
    act = AuditRecord()
    with transaction.atomic():
        _refuse_repeat(key)
        if condition := _condition.get():
            _condition.set(None)  # the act itself changes what the condition is about
            # After the check for a repeated form, so that a repetition answers AlreadyDone and not
            # the condition's error.
            condition()
        yield act
        # The audit trail has changes only.
        if act.before and act.before == act.after:
            raise AlreadyInState
        record(operator, action, act, why=why, key=key)


def record(
    operator: Operator,
    action: str,
    act: AuditRecord,
    *,
    why: Justification,
    key: UUID | None = None,
) -> StaffAction:
    """Add an act to the audit trail, in the caller's transaction if there is one."""
    # Written by a function of the database, because the service's role may not change the audit
    # trail.
    row: dict[str, Any] = {
        "id": new_id(),
        "operator": operator.name,
        "action": action,
        "user_id": act.user_id,
        "subject": act.subject,
        "reason": why.reason,
        "note": why.note,
        "ticket": why.ticket,
        "moved": act.moved,
        "before": {name: _plain(value) for name, value in act.before.items()},
        "after": {name: _plain(value) for name, value in act.after.items()},
        "address": operator.address,
        "request_id": operator.request_id,
        "key": key,
    }
    at = call("credits.record_staff_action", action=json.dumps(row, default=str))
    return StaffAction(**row, at=at)


def require_note(why: Justification) -> Justification:
    """Return `why` with its texts stripped; raise NoteRequired if the note is empty."""
    note = why.note.strip()
    if not note:
        raise NoteRequired
    return why._replace(note=note, ticket=why.ticket.strip())


def _refuse_repeat(key: UUID) -> None:
    # A form may be submitted twice at once: the second request waits here for the first to commit.
    advisory_locks.lock(advisory_locks.Kind.FORM, str(key))
    if StaffAction.objects.filter(key=key).exists():
        raise AlreadyDone


def _plain(value: object) -> object:
    # JSON has neither exact decimals nor timestamps.
    return value if value is None or isinstance(value, bool | int) else str(value)
