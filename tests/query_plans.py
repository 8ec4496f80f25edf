"""Rows that a statement reads, by its plan and by the server's counters."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from django.db import connection

from tests.owner import as_owner


def rows_read(sql: str, values: Mapping[str, Any] | None = None) -> int:
    """Return the number of rows that the scans of a statement read."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", values)
        (found,) = cursor.fetchone()
    document = json.loads(found) if isinstance(found, str) else found
    return _touched(document[0]["Plan"])


def rows_read_of(table: str, act: Callable[[], object]) -> int:
    """
    Return the number of a table's rows that `act` reads, in functions of the database too.

    The table has current statistics, as after autovacuum. Sequential scans are avoided, because the
    planner prefers them in small tables. Cached plans are dropped, because they do not follow.
    """
    with as_owner(), connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {table}")
        cursor.execute("SET LOCAL enable_seqscan = off; DISCARD PLANS")
    before = _rows_of(table)
    act()
    return _rows_of(table) - before


def _touched(node: Mapping[str, Any]) -> int:
    below = sum(_touched(child) for child in node.get("Plans", []))
    # A bitmap's index scan and its heap scan read the same rows.
    if "Scan" not in node["Node Type"] or node["Node Type"] == "Bitmap Index Scan":
        return below
    each = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return below + int(each * node["Actual Loops"])


def _rows_of(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)"
            " FROM pg_stat_xact_user_tables WHERE relid = %s::regclass",
            [table],
        )
        return int(cursor.fetchone()[0])
