"""Error responses of the server itself, in the API's format, for requests without a view."""

import json
from http import HTTPStatus
from typing import Any

from gunicorn.http.errors import (
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)

from mana_credits.web_server.malformed import MalformedRequest, Overloaded, RequestTimeout

# The first kind that an error is of gives the status, the message and the code.
MEANINGS: dict[type[Exception], tuple[HTTPStatus, str, str]] = {
    RequestTimeout: (HTTPStatus.REQUEST_TIMEOUT, "The request took too long", "request_timeout"),
    Overloaded: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The service is unavailable for a moment",
        "unavailable",
    ),
    LimitRequestHeaders: (
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "The headers are too large",
        "headers_too_large",
    ),
    ExpectationFailed: (
        HTTPStatus.EXPECTATION_FAILED,
        "Expectation failed",
        "expectation_failed",
    ),
    ParseException: (HTTPStatus.BAD_REQUEST, "Bad request", "bad_request"),
    Exception: (HTTPStatus.INTERNAL_SERVER_ERROR, "Internal server error", "internal_error"),
}
HEAD = (
    "HTTP/1.1 {0.value} {0.phrase}\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\n"
    "X-Request-Id: {1}\r\nCache-Control: no-store\r\n{2}"
    "Content-Type: application/json\r\nContent-Length: {3}\r\n\r\n"
)
RETRY = "Retry-After: 5\r\n"


def answer(error: Exception, request_id: str) -> bytes:
    """Return the response for `error`. It contains no part of the request."""
    status, message, code = next(
        meaning for kind, meaning in MEANINGS.items() if isinstance(error, kind)
    )
    body: dict[str, Any] = {"statusCode": status, "message": message, "code": code}
    if status == HTTPStatus.BAD_REQUEST:
        body["details"] = {"request": [_what_is_malformed(error)]}
    encoded = json.dumps(body, separators=(",", ":")).encode()
    retry = RETRY if status == HTTPStatus.SERVICE_UNAVAILABLE else ""
    return HEAD.format(status, request_id, retry, len(encoded)).encode() + encoded


def reason(error: Exception) -> str:
    """Return the log text for `error`. It contains no part of the request."""
    name = type(error).__name__
    return f"{name}, {error.reason}" if isinstance(error, MalformedRequest) else name


def _what_is_malformed(error: Exception) -> str:
    """Return the sentence for the client. gunicorn's own texts quote the request."""
    if isinstance(error, MalformedRequest):
        return f"The request is malformed: {error.reason}."
    if isinstance(error, LimitRequestLine):
        return "The request line is too long."
    return "The request is malformed."
