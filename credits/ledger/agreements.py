"""The record of what users agreed to and when: every change of their settings."""

from datetime import datetime
from typing import Any

from credits.ledger.posting import Origin
from credits.models import SettingsChange


def record(
    user_id: str,
    subject: str,
    change: tuple[dict[str, Any], dict[str, Any]],
    *,
    origin: Origin,
    now: datetime,
) -> None:
    """Record a change of the user's settings from the first state to the second."""
    before, after = change
    SettingsChange.objects.create(
        user_id=user_id,
        subject=subject,
        before=before,
        after=after,
        actor=origin.actor,
        request_id=origin.request_id,
        changed_at=now,
    )
