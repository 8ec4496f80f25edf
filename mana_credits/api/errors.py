"""Responses to exceptions: each error of the API in its format."""

from typing import Any

from django.core.exceptions import DisallowedHost
from django.http import Http404, HttpRequest
from rest_framework import exceptions

from credits.api import error_bodies
from credits.api.error_bodies import envelope
from credits.api.wire_responses import WireResponse
from credits.errors import DomainError
from credits.postgresql import database_errors

RETRY_AFTER_SECONDS = 5
CODES = {
    "parse_error": "invalid_json",
    "authentication_failed": "not_authenticated",
    "permission_denied": "forbidden",
}


class ServiceUnavailable(exceptions.APIException):
    """The service cannot reach something that it needs. The client may retry."""

    status_code = 503
    default_detail = "The service is unavailable for a moment"
    default_code = "unavailable"


def answer(error: Exception, context: dict[str, Any]) -> WireResponse | None:
    """Return the response for an exception of a view, or None for an unexpected one (500)."""
    match error:
        case DomainError():
            return _of_domain(error)
        case exceptions.ValidationError():
            return WireResponse(error_bodies.of_validation(error), status=400)
        case exceptions.APIException():
            return _of_framework(error)
        case Http404():
            return error_response(404, "Not found", "not_found")
    # An exception that is no known error of the database is a defect. Django logs it and answers
    # 500.
    refusal = database_errors.refusal_for(error)
    return None if refusal is None else _of_domain(refusal)


def _of_domain(error: DomainError) -> WireResponse:
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return WireResponse(error_bodies.of_domain(error), status=error.status, headers=headers)


def _of_framework(error: exceptions.APIException) -> WireResponse:
    code = str(error.get_codes())
    headers = {}
    if header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = header
    wait = getattr(error, "wait", None)
    if wait is not None or error.status_code == 503:
        headers["Retry-After"] = str(int(wait or RETRY_AFTER_SECONDS))
    return error_response(
        error.status_code, str(error.detail), CODES.get(code, code), headers=headers
    )


def error_response(
    status: int,
    message: str,
    code: str,
    details: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> WireResponse:
    """Return an error response, in DRF's views and outside them."""
    return WireResponse(envelope(status, message, code, details), status=status, headers=headers)


def bad_request(request: HttpRequest, exception: Exception) -> WireResponse:
    """Answer requests that Django itself rejects: malformed, or with a host that is not allowed."""
    return malformed(
        {"Host": ["This host is not allowed."]}
        if isinstance(exception, DisallowedHost)
        else {"request": ["The request is malformed."]}
    )


def malformed(details: dict[str, list[str]]) -> WireResponse:
    """Return the response to a request that no view can read."""
    return error_response(400, "Bad request", "bad_request", details)


def not_found(request: HttpRequest, exception: Exception | None = None) -> WireResponse:
    """Answer an unknown route with 404."""
    return error_response(404, "Not found", "not_found")


def server_error(request: HttpRequest) -> WireResponse:
    """Answer an unexpected exception with 500. Its traceback is in the log."""
    return error_response(500, "Internal server error", "internal_error")
