"""Counting the statements sent to the database."""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from django.db import connection
from django.test.utils import CaptureQueriesContext

from credits.ledger import db_functions


def statements(act: Callable[[], Any]) -> tuple[int, Any]:
    """Return the number of statements that `act` sends, through Django or psycopg."""
    with (
        patch.object(db_functions, "_fetch", wraps=db_functions._fetch) as called,
        CaptureQueriesContext(connection) as queries,
    ):
        answer = act()
    return called.call_count + len(queries), answer
