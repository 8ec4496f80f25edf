"""Requests generated from the schema get only the responses that it describes."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.core import NotSet
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from mana_credits.wsgi import application
from tests.environment import PROVIDER, SERVICE_KEY
from tests.mana_credits.test_bad_input import POSTS, complete

pytestmark = pytest.mark.slow
# Facts that a schema cannot express: size and depth of metadata, allowed Checkout URLs, the decimal
# places of amounts, and combinations of parameters.
OF_ONE_FIELD = {"metadata", "successUrl", "cancelUrl"}
INEXPRESSIBLE = (
    "The amount must be more than 0, with at most 4 decimal places and 15 digits.",
    "The amount must be 0 or more, with at most 4 decimal places and 15 digits.",
    "A cursor and an offset exclude each other.",
    "The header Idempotency-Key has a different value.",
    "At least one setting is required; null switches it off.",
)


def takes_what_the_schema_allows(_: object, response: Any, case: Case[Any]) -> bool | None:
    """Check that a valid request is only rejected because of the database's state."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return None
    if response.status_code != 400:
        return None
    body = response.json()
    if body["code"] in {"validation_failed", "invalid_json", "bad_request"}:
        unexpected = {
            field: texts
            for field, texts in body["details"].items()
            if field not in OF_ONE_FIELD and not all(text.endswith(INEXPRESSIBLE) for text in texts)
        }
        assert unexpected == {}
    return None


def rejects_what_the_schema_forbids(context: Any, response: Any, case: Case[Any]) -> bool | None:
    """Check that an invalid request is rejected.

    schemathesis also leaves out the header Authorization, which HEADERS adds to every request. Null
    is accepted in place of an optional enumeration but not described.
    """
    if isinstance(case.body, dict) and None in map(
        case.body.get, {"type", "interval"} & {*case.body}
    ):
        return None
    try:
        return negative_data_rejection(context, response, case)
    except AcceptedNegativeData as failure:
        if "(was Authorization)" in failure.message:
            return None
        raise


def has_no_defect(context: Any, response: Any, case: Case[Any]) -> bool | None:
    """Check that there is no server error, except that Stripe cannot be reached here."""
    if response.status_code == 503 and response.json()["code"] == "payment_unavailable":
        return None
    return not_a_server_error(context, response, case)


CHECKS = [
    takes_what_the_schema_allows,
    has_no_defect,
    status_code_conformance,
    content_type_conformance,
    rejects_what_the_schema_forbids,
    response_headers_conformance,
    response_schema_conformance,
]
HEADERS = {
    "Authorization": f"Bearer {PROVIDER.token('alice')}",
    "X-Service-Key": SERVICE_KEY,
}
schema = schemathesis.openapi.from_wsgi("/api/schema", application)


@pytest.mark.usefixtures("one_connection")
@schema.parametrize()
@settings(
    max_examples=15,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_one_that_the_schema_describes(case: Case[Any]) -> None:
    # For an optional body, schemathesis counts its absence as a violation.
    absent = isinstance(case.body, NotSet)
    excluded: list[Any] = (
        [rejects_what_the_schema_forbids] if absent and case.operation.body else []
    )

    case.call_and_validate(headers=HEADERS, checks=CHECKS, excluded_checks=excluded)


@pytest.mark.usefixtures("one_connection")
@pytest.mark.parametrize("path", POSTS)
def test_what_succeeds_is_answered_as_the_schema_says(path: str, reservation: str) -> None:
    """Few of the generated bodies refer to existing rows."""
    case = schema[f"/api/v1/{path}"]["POST"].Case(
        body=complete(path, reservation), media_type="application/json"
    )

    answer = case.call_and_validate(headers=HEADERS, checks=CHECKS)

    assert answer.status_code == 200
