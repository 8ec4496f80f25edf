"""Decisions about quarantined purchases, recorded with their justification."""

from datetime import datetime
from uuid import UUID

from credits.models import Purchase
from credits.payments import purchases
from mana_credits.back_office.acts import audit
from mana_credits.back_office.acts.audit import AlreadyInState, Justification, Operator


def resolve_quarantine(
    operator: Operator,
    purchase_id: UUID,
    credit: bool,
    *,
    why: Justification,
    key: UUID,
    now: datetime,
) -> Purchase:
    """Credit a quarantined purchase, or leave it uncredited.

    Raises NotPermitted, AlreadyDone, NoteRequired, AlreadyInState, and what
    `purchases.resolve_quarantine` does.
    """
    why = audit.require_note(why)
    with audit.acting(operator, "credits.resolve_quarantine", why=why, key=key) as act:
        done = purchases.resolve_quarantine(
            purchase_id,
            credit=credit,
            reason=why.note,
            origin=operator.origin(at=now, key=key),
            now=now,
        )
        # Another form decided the same before.
        if done.quarantine_resolved_at != now:
            raise AlreadyInState
        act.user_id = done.user_id
        act.subject = f"purchase:{purchase_id}"
        act.after = {"resolution": done.quarantine_resolution, "status": done.status}
        return done
