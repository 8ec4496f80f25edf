"""Checks of API errors: their format, and that they change nothing."""

import re

from django.apps import apps
from django.db import connection

from credits.models import ContactErasure
from tests.api import Answer

INTERNAL = "internal/credits/"


def assert_refused(
    answer: Answer, *fields: str, status: int = 400, code: str = "validation_failed"
) -> None:
    """Check that the response is an error in the API's format with details for just these fields.

    If the details of a 400 name no field, they name the body.
    """
    body = answer.json()
    assert (answer.status_code, body["statusCode"], body["code"]) == (status, status, code), body
    assert body["message"]
    expected = set(fields) or ({"body"} if status == 400 else set())
    assert set(body.get("details", {})) == expected, body
    assert re.fullmatch("[0-9a-f]{32}", answer["X-Request-Id"])


def counts() -> dict[str, int]:
    """Return the number of rows of every table, without those that an erasure always leaves."""
    quote = connection.ops.quote_name
    models = (model for model in apps.get_models() if model is not ContactErasure)
    tables = {model._meta.db_table for model in models}
    query = " UNION ALL ".join(f"SELECT '{one}', count(*) FROM {quote(one)}" for one in tables)
    with connection.cursor() as cursor:
        cursor.execute(query)
        return dict(cursor.fetchall())
