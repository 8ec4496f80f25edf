"""The errors of each operation, and their responses in the OpenAPI schema."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from credits.api.error_bodies import envelope
from credits.api.openapi import Description
from credits.bulkheads import TooBusy
from credits.errors import DomainError
from credits.ledger import IdempotencyKeyReused
from credits.postgresql.database_errors import (
    ChangeUnconfirmed,
    DatabaseReadOnly,
    DatabaseTimeout,
    DatabaseUnavailable,
)
from internal_api.authentication import ScopeMissing

HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {
        "description": "Names the request in the log: the caller's own id, or a new one.",
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "After how many seconds another attempt makes sense.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {
        "description": "The scheme that is expected.",
        "schema": {"type": "string"},
    },
    "Link": {
        "description": 'The next page, `<URL>; rel="next"`. Absent on the last page.',
        "schema": {"type": "string"},
    },
    "ETag": {
        "description": "Send it as `If-None-Match` to get 304 if nothing changed.",
        "schema": {"type": "string"},
    },
    "Cache-Control": {
        "description": "For how long the answer may be kept.",
        "schema": {"type": "string"},
    },
}
HEADERS_OF_STATUS = {401: ["WWW-Authenticate"], 429: ["Retry-After"], 503: ["Retry-After"]}
# Example details by code. An error with status 400 and no entry here names its field.
EXAMPLE_DETAILS: dict[str, dict[str, Any]] = {
    "insufficient_credits": {"required": 3, "available": 0},
    "spending_limit_reached": {"limit": 100, "spent": 99.5, "app": None},
    "settings_changed": {
        "version": "5f3a0c1b9d2e4f68",
        "current": {"lowBalance": 20, "monthlyLimit": 100, "appLimits": []},
    },
    "gift_not_redeemable": {"status": "depleted"},
}


class Refusal(NamedTuple):
    """An error on the wire, with an example."""

    status: int
    code: str
    message: str
    meaning: str
    details: dict[str, Any] | None = None
    field: str = "body"
    says_error: bool = False

    def example(self) -> dict[str, Any]:
        """Return the body of the error."""
        body = envelope(self.status, self.message, self.code, self.details, field=self.field)
        return {**body, "error": self.message} if self.says_error else body


NOT_UTF8 = Refusal(
    400,
    "bad_request",
    "Bad request",
    "The path is not UTF-8.",
    {"path": ["The path is not UTF-8."]},
)
INVALID = Refusal(
    400,
    "validation_failed",
    "Validation failed",
    "A value is missing or not valid; `details` names the fields.",
    {"amount": ["This field is required."]},
)
INVALID_JSON = Refusal(
    400,
    "invalid_json",
    "The body is not valid JSON: it is nested too deeply",
    "The body is not JSON; the message says why.",
)
NO_TOKEN = Refusal(
    401,
    "not_authenticated",
    "Missing or invalid Authorization header",
    "There is no token, or it is invalid or has expired.",
)
NO_SERVICE_KEY = Refusal(
    401,
    "not_authenticated",
    "Invalid or missing service key",
    "There is no service key, or a wrong one.",
)
FORBIDDEN = Refusal(
    403,
    "forbidden",
    "You do not have permission to perform this action.",
    "The user is not an admin.",
)
TOO_LARGE = Refusal(
    413, "body_too_large", "The body is too large", "The body has more than 256 KiB."
)
# Errors that any request may receive.
UNAVAILABLE = (
    DatabaseUnavailable,
    DatabaseReadOnly,
    DatabaseTimeout,
    ChangeUnconfirmed,
    TooBusy,
)
NO_AUTH_SERVER = Refusal(
    503,
    "auth_unavailable",
    "The auth server cannot be reached",
    "The keys that tokens are signed with are not known yet.",
)


class OperationFacts(NamedTuple):
    """The facts about an operation that determine its possible errors."""

    scheme: str | None
    restricted: bool
    has_input: bool
    has_body: bool
    keyed: bool


def refusals(facts: OperationFacts, described: Description) -> list[Refusal]:
    """Return the errors that an operation may answer with, by status."""
    found = [
        NOT_UTF8,
        *([INVALID] if facts.has_input else []),
        *([INVALID_JSON, TOO_LARGE] if facts.has_body else []),
        *([NO_TOKEN, NO_AUTH_SERVER] if facts.scheme == "userToken" else []),
        *([NO_SERVICE_KEY] if facts.scheme == "serviceKey" else []),
        *([FORBIDDEN] if facts.restricted else []),
        *([_of_domain(ScopeMissing)] if described.scope else []),
        *([_of_domain(IdempotencyKeyReused)] if facts.keyed else []),
        *map(_of_domain, (*described.refuses, *UNAVAILABLE)),
    ]
    return sorted(found, key=lambda one: one.status)


def responses(found: Iterable[Refusal]) -> dict[str, Any]:
    """Return the schema's responses for these errors."""
    by_status: dict[int, list[Refusal]] = {}
    for one in found:
        by_status.setdefault(one.status, []).append(one)
    return {str(status): _response(status, some) for status, some in by_status.items()}


def headers(*names: str) -> dict[str, Any]:
    """Return references to the headers of a response."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _of_domain(error: type[DomainError]) -> Refusal:
    # The docstrings of errors are the texts of the schema, so both always say the same.
    meaning = " ".join((error.__doc__ or "").split("\n\n")[0].split())
    return Refusal(
        error.status,
        error.code,
        error.message,
        meaning,
        EXAMPLE_DETAILS.get(error.code),
        error.field,
        error.says_error,
    )


def _response(status: int, some: list[Refusal]) -> dict[str, Any]:
    return {
        "description": "\n".join(f"- `{one.code}`: {one.meaning}" for one in some),
        "headers": headers("X-Request-Id", *HEADERS_OF_STATUS.get(status, [])),
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Error"},
                "examples": {one.code: {"value": one.example()} for one in some},
            }
        },
    }
