"""Statements that an act sends to the database."""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from django.db import connection
from django.test.utils import CaptureQueriesContext

from credits.ledger import db_functions


def statements(act: Callable[[], Any]) -> tuple[int, Any]:
    """Return how many statements `act` sends, by Django's cursor or psycopg's own."""
    with (
        patch.object(db_functions, "_fetch", wraps=db_functions._fetch) as called,
        CaptureQueriesContext(connection) as queries,
    ):
        answer = act()
    return called.call_count + len(queries), answer
