"""Operators' acts on reservations, Cloud Sync subscriptions and messages.

Each is recorded with its justification, and each form acts once.
"""

from datetime import datetime
from uuid import UUID

from credits.ledger import reservations
from credits.models import (
    OutboxMessage,
    Reservation,
    SyncSubscription,
)
from credits.outbox import outbox
from credits.sync import cloud_sync
from mana_credits.back_office.acts import audit
from mana_credits.back_office.acts.audit import AlreadyInState, Justification, Operator


def release_reservation(
    operator: Operator, reservation_id: UUID, *, why: Justification, key: UUID
) -> Reservation:
    """Release a stuck reservation.

    Raises NotPermitted, AlreadyDone, NoteRequired, AlreadyInState,
    and what `reservations.release` does.
    """
    why = audit.require_note(why)
    with audit.acting(operator, "credits.release_reservation", why=why, key=key) as act:
        hold = reservations.release(reservation_id, origin=operator.origin())
        if hold.replayed:
            raise AlreadyInState
        released = hold.reservation
        act.user_id = released.user_id
        act.subject = f"reservation:{reservation_id}"
        act.before = {"held": released.amount}
        act.after = {"status": released.status}
        return released


def give_sync(
    operator: Operator, user_id: str, *, why: Justification, key: UUID, now: datetime
) -> SyncSubscription:
    """Give a user free Cloud Sync.

    Raises NotPermitted, AlreadyDone, NoteRequired, AlreadyInState.
    """
    why = audit.require_note(why)
    with audit.acting(operator, "credits.give_sync", why=why, user_id=user_id, key=key) as act:
        act.subject = f"sync:{user_id}"
        act.before = {"gifted": cloud_sync.status(user_id).gifted}
        given = cloud_sync.give(user_id, by=operator.actor, now=now)
        act.after = {"gifted": given.gifted}
        return given


def revoke_sync(
    operator: Operator, user_id: str, *, why: Justification, key: UUID, now: datetime
) -> SyncSubscription:
    """Revoke free Cloud Sync. Raises NotPermitted, AlreadyDone, NoteRequired, AlreadyInState."""
    why = audit.require_note(why)
    with audit.acting(operator, "credits.give_sync", why=why, user_id=user_id, key=key) as act:
        act.subject = f"sync:{user_id}"
        found = cloud_sync.status(user_id)
        act.before = {"gifted": found.gifted, "active": found.active}
        left = cloud_sync.revoke(user_id, now=now)
        act.after = {"gifted": left.gifted, "active": left.active}
        return left


def retry_message(
    operator: Operator, message_id: UUID, *, why: Justification, key: UUID, now: datetime
) -> OutboxMessage:
    """Send a dead message again. Raises NotPermitted, AlreadyDone, NoteRequired, MessageNotDead."""
    why = audit.require_note(why)
    with audit.acting(operator, "credits.retry_message", why=why, key=key) as act:
        revived = outbox.revive(message_id, now=now)
        act.user_id = revived.user_id
        act.subject = f"message:{message_id}"
        act.before = {"status": OutboxMessage.Status.DEAD.value}
        act.after = {"status": revived.status}
        return revived
