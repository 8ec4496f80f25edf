"""Error responses of the server itself, in the API's format, for requests without a view."""

import json
from http import HTTPStatus

from gunicorn.http.errors import ExpectationFailed, LimitRequestHeaders, ParseException

from mana_credits.web_server.malformed import MalformedRequest, Overloaded, RequestTimeout

HEAD = (
    "HTTP/1.1 {0.value} {0.phrase}\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\n"
    "X-Request-Id: {1}\r\nCache-Control: no-store\r\n{2}"
    "Content-Type: application/json\r\nContent-Length: {3}\r\n\r\n"
)
RETRY = "Retry-After: 5\r\n"


def answer(error: Exception, request_id: str) -> bytes:
    """Return the response for `error`. It contains no part of the request."""
    status, message, code = _meaning(error)
    body = json.dumps({"statusCode": status, "message": message, "code": code}).encode()
    retry = RETRY if status == HTTPStatus.SERVICE_UNAVAILABLE else ""
    return HEAD.format(status, request_id, retry, len(body)).encode() + body


def reason(error: Exception) -> str:
    """Return the log text for `error`. It contains no part of the request."""
    name = type(error).__name__
    return f"{name}, {error.reason}" if isinstance(error, MalformedRequest) else name


def _meaning(error: Exception) -> tuple[HTTPStatus, str, str]:
    match error:
        case RequestTimeout():
            return HTTPStatus.REQUEST_TIMEOUT, "The request took too long", "request_timeout"
        case Overloaded():
            text = "The service is unavailable for a moment"
            return HTTPStatus.SERVICE_UNAVAILABLE, text, "unavailable"
        case LimitRequestHeaders():
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            return status, "The headers are too large", "headers_too_large"
        case ExpectationFailed():
            return HTTPStatus.EXPECTATION_FAILED, "Expectation failed", "expectation_failed"
        case ParseException():
            return HTTPStatus.BAD_REQUEST, "Bad request", "bad_request"
    return HTTPStatus.INTERNAL_SERVER_ERROR, "Internal server error", "internal_error"
