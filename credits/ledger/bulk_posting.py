"""Many movements at once: the same function for each, called by the server itself, row after row.

For commands that post by the hundred thousand, where a round trip each would be most of the work.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from credits.ledger.posting import Memo, Movement, Origin, arguments

_COLUMNS = {
    "id": "uuid",
    "user_id": "text",
    "type": "text",
    "amount": "numeric",
    "held": "numeric",
    "side": "text",
    "may_overdraw": "boolean",
    "app_id": "text",
    "description": "text",
    "metadata": "jsonb",
    "actor": "text",
    "request_id": "text",
    "key": "text",
    "request": "text",
    "cause": "text",
    "related_id": "uuid",
    "at": "timestamptz",
    "operation": "text",
    "unit_cost": "numeric",
    "quantity": "integer",
}
_DECLARED = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
_NAMED = ", ".join(_COLUMNS)
_STAGE = f"""
    CREATE TEMPORARY TABLE IF NOT EXISTS movements (
        n bigint GENERATED ALWAYS AS IDENTITY, {_DECLARED}
    ) ON COMMIT DELETE ROWS;
    TRUNCATE movements
"""
_COPY = f"COPY movements ({_NAMED}) FROM STDIN"
_POST = f"""
    SELECT m.id, p.outcome
    FROM (SELECT * FROM movements ORDER BY n) m
    CROSS JOIN LATERAL credits.post_transaction({", ".join(f"m.{name}" for name in _COLUMNS)}) p
    WHERE p.outcome <> 'posted'
"""  # noqa: S608


class Entry(NamedTuple):
    """A movement to be posted, under the id that its transaction will have."""

    id: UUID
    user_id: str
    movement: Movement
    memo: Memo
    origin: Origin


def post_all(entries: Iterable[Entry]) -> list[tuple[UUID, str]]:
    """Post the entries in their order, in the caller's transaction.

    Returns the id and the outcome of those that were not posted: `replayed`, or a refusal of
    `credits.post_transaction`.
    """
    with connection.cursor() as cursor:
        cursor.execute(_STAGE)
        copying: Any = cursor.cursor
        with copying.copy(_COPY) as copy:
            for entry in entries:
                copy.write_row(arguments(*entry))
        cursor.execute(_POST)
        return [(entry_id, outcome) for entry_id, outcome in cursor.fetchall()]
