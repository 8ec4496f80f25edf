"""What every refusal of the API looks like, and that nothing came of it."""

import re

from django.apps import apps
from django.db import connection

from tests.api import Answer

INTERNAL = "internal/credits/"


def assert_refused(
    answer: Answer, *fields: str, status: int = 400, code: str = "validation_failed"
) -> None:
    """The answer is an error in the API's envelope whose details name just these fields.

    Details of a 400 that name no field name the body as a whole.
    """
    body = answer.json()
    assert (answer.status_code, body["statusCode"], body["code"]) == (status, status, code), body
    assert body["message"]
    expected = set(fields) or ({"body"} if status == 400 else set())
    assert set(body.get("details", {})) == expected, body
    assert re.fullmatch("[0-9a-f]{32}", answer["X-Request-Id"])


def counts() -> dict[str, int]:
    """Return the number of rows of every table."""
    quote = connection.ops.quote_name
    tables = {model._meta.db_table for model in apps.get_models()}
    query = " UNION ALL ".join(f"SELECT '{one}', count(*) FROM {quote(one)}" for one in tables)
    with connection.cursor() as cursor:
        cursor.execute(query)
        return dict(cursor.fetchall())
