"""The record of what users agreed to and when: every change of their settings."""

import json
from typing import Any

from credits.ids import new_id
from credits.ledger.db_functions import call
from credits.ledger.posting import Origin


def record(
    user_id: str,
    subject: str,
    change: tuple[dict[str, Any], dict[str, Any]],
    *,
    origin: Origin,
) -> None:
    """Record a change of the user's settings from the first state to the second.

    The time is the database's. Nobody changes the record later, and an erasure only blanks it.
    """
    before, after = change
    row = {
        "id": new_id(),
        "user_id": user_id,
        "subject": subject,
        "before": before,
        "after": after,
        "actor": origin.actor,
        "request_id": origin.request_id,
    }
    call("credits.record_settings_change", change=json.dumps(row, default=str))
