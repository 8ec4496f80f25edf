"""Changes of users' settings: the record of each one, and the refusal of outdated ones."""

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from credits.amounts import plain
from credits.errors import DomainError
from credits.ids import new_id
from credits.ledger.db_functions import call
from credits.ledger.posting import Origin


class SettingsChanged(DomainError):
    """The settings were changed after the client read them.

    `details` has the `current` settings and their `version`.
    """

    code = "settings_changed"
    status = 409
    message = "The settings were changed in the meantime"


def version_of(state: Mapping[str, Any]) -> str:
    """Return the version of a user's settings: equal settings have equal versions."""
    # Sorted keys: the version must not depend on the order in which a caller builds the object.
    text = json.dumps(state, sort_keys=True, default=_canonical)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def require_version(
    seen: str | None, current: Mapping[str, Any], *, internal: str | None = None
) -> None:
    """Raise SettingsChanged if the client saw another version; None means that it sent none.

    The value that `internal` names is part of the version, but not of the error's details.
    """
    version = version_of(current)
    if seen not in {None, version}:
        shown = {name: value for name, value in current.items() if name != internal}
        raise SettingsChanged(version=version, current=shown)


def record(
    user_id: str,
    subject: str,
    change: tuple[dict[str, Any], dict[str, Any]],
    *,
    origin: Origin,
) -> None:
    """Record a change of the user's settings from the first state to the second.

    Amounts in them may be Decimals, which are recorded exactly, as texts.
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
    call("credits.record_settings_change", change=json.dumps(row, default=_canonical))


def _canonical(value: object) -> str:
    # One amount has one text. A Decimal from the database has 4 decimal places, one from a request
    # may have fewer.
    return plain(value) if isinstance(value, Decimal) else str(value)
