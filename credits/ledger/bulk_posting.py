"""Bulk posting: copy many movements to a temporary table and post each of them in the server.

For commands that post hundreds of thousands of movements, where a round trip per movement would
dominate the run time.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from credits.ledger.posting import PARAMETERS, Memo, Movement, Origin, sql_arguments
from credits.postgresql.atomicity import transaction_required

_DECLARED = ", ".join(f"{name} {kind}" for name, kind in PARAMETERS.items())
# `n` keeps the order of the entries, because the movements of one user form a chain. TRUNCATE,
# because one transaction may post several lists.
_STAGE = f"""
    CREATE TEMPORARY TABLE IF NOT EXISTS movements (
        n bigint GENERATED ALWAYS AS IDENTITY, {_DECLARED}
    ) ON COMMIT DELETE ROWS;
    TRUNCATE movements
"""
_COPY = f"COPY movements ({', '.join(PARAMETERS)}) FROM STDIN"
_POST = f"""
    SELECT m.subject_id, p.outcome
    FROM (SELECT * FROM movements ORDER BY n) m
    CROSS JOIN LATERAL credits.post_transaction({
    ", ".join(f"p_{name} => m.{name}" for name in PARAMETERS)
}) p
    WHERE p.outcome <> 'posted'
"""  # noqa: S608


class BulkEntry(NamedTuple):
    """A movement to post, with the id for its transaction."""

    id: UUID
    user_id: str
    movement: Movement
    memo: Memo
    origin: Origin


@transaction_required
def post_all(entries: Iterable[BulkEntry]) -> list[tuple[UUID, str]]:
    """Post the entries in order, in the caller's transaction.

    Returns the id and the outcome of each entry that was not posted: `replayed`, or the code of an
    error of `credits.post_transaction`.
    """
    with connection.cursor() as cursor:
        cursor.execute(_STAGE)
        copying: Any = cursor.cursor
        with copying.copy(_COPY) as copy:
            for entry in entries:
                copy.write_row(tuple(sql_arguments(*entry).values()))
        cursor.execute(_POST)
        return [(entry_id, outcome) for entry_id, outcome in cursor.fetchall()]
