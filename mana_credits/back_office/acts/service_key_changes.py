"""Operators' acts on service keys: create, rotate, revoke. Each is recorded."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from credits.amounts import plain
from internal_api import service_keys
from internal_api.models import ServiceKey
from internal_api.service_keys import KeyTerms
from mana_credits.back_office.acts import audit
from mana_credits.back_office.acts.audit import Justification, Operator

PERMISSION = "internal_api.manage_service_keys"


def create(
    operator: Operator, name: str, terms: KeyTerms, *, why: Justification, key: UUID, now: datetime
) -> tuple[ServiceKey, str]:
    """Create a key and return it with its secret.

    Raises NoteRequired, InvalidServiceKey, NotPermitted, AlreadyDone.
    """
    with audit.acting(operator, PERMISSION, why=audit.require_note(why), key=key) as act:
        made, secret = service_keys.create(name, terms, by=operator.name, now=now)
        act.subject, act.after = subject(made), terms_of(made)
        return made, secret


def rotate(
    operator: Operator,
    key_id: UUID,
    *,
    overlap: timedelta,
    why: Justification,
    key: UUID,
    now: datetime,
) -> tuple[ServiceKey, str]:
    """Replace a key and return the new one with its secret.

    Raises ServiceKeyUnknown, NoteRequired, NotPermitted, AlreadyDone.
    """
    with audit.acting(operator, PERMISSION, why=audit.require_note(why), key=key) as act:
        made, secret = service_keys.rotate(key_id, overlap=overlap, by=operator.name, now=now)
        act.subject, act.after = subject(made), {"replaces": key_id, **terms_of(made)}
        return made, secret


def revoke(
    operator: Operator, key_id: UUID, *, why: Justification, key: UUID, now: datetime
) -> ServiceKey:
    """Revoke a key. Raises ServiceKeyUnknown, NoteRequired, NotPermitted, AlreadyDone."""
    with audit.acting(operator, PERMISSION, why=audit.require_note(why), key=key) as act:
        revoked = service_keys.revoke(key_id, now=now)
        act.subject, act.after = subject(revoked), {"revoked": now}
        return revoked


def subject(key: ServiceKey) -> str:
    """Return the key's name in the audit trail."""
    return f"service_key:{key.pk}"


def terms_of(key: ServiceKey) -> dict[str, Any]:
    """Return the key's terms as plain values."""
    caps = {name: plain(cap) for name, cap in key.caps.items()}
    return {"name": key.name, "scopes": ", ".join(key.scopes), "expires": key.expires_at, **caps}
