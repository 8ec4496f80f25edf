"""Responses to exceptions: each error of the API in its format."""

from typing import Any

from django.core.exceptions import DisallowedHost
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response

from credits.api import error_bodies
from credits.api.error_bodies import envelope
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


def answer(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the response for an exception of a view, or None for an unexpected one (500)."""
    match error:
        case DomainError():
            return _of_domain(error)
        case exceptions.ValidationError():
            return Response(error_bodies.of_validation(error), status=400)
        case exceptions.APIException():
            return _of_framework(error)
        case Http404():
            return _response(404, "Not found", "not_found")
    # An exception that is no known error of the database is a defect. Django logs it and answers
    # 500.
    refusal = database_errors.refusal_for(error)
    return None if refusal is None else _of_domain(refusal)


def _of_domain(error: DomainError) -> Response:
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return Response(error_bodies.of_domain(error), status=error.status, headers=headers)


def _of_framework(error: exceptions.APIException) -> Response:
    code = str(error.get_codes())
    headers = {}
    if header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = header
    wait = getattr(error, "wait", None)
    if wait is not None or error.status_code == 503:
        headers["Retry-After"] = str(int(wait or RETRY_AFTER_SECONDS))
    return _response(error.status_code, str(error.detail), CODES.get(code, code), headers=headers)


def _response(
    status: int,
    message: str,
    code: str,
    details: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    return Response(envelope(status, message, code, details), status=status, headers=headers)


def plain(
    status: int, message: str, code: str, details: dict[str, Any] | None = None
) -> HttpResponse:
    """Return an error response outside DRF's views."""
    body = envelope(status, message, code, details)
    return JsonResponse(body, status=status, json_dumps_params={"separators": (",", ":")})


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer requests that Django itself rejects: malformed, or with a host that is not allowed."""
    return malformed(
        {"Host": ["This host is not allowed."]}
        if isinstance(exception, DisallowedHost)
        else {"request": ["The request is malformed."]}
    )


def malformed(details: dict[str, list[str]]) -> HttpResponse:
    """Return the response to a request that no view can read."""
    return plain(400, "Bad request", "bad_request", details)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer an unknown route with 404."""
    return plain(404, "Not found", "not_found")


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer an unexpected exception with 500. Its traceback is in the log."""
    return plain(500, "Internal server error", "internal_error")
