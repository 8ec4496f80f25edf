"""The outermost middleware: request id, access log, metrics, UTF-8 check and CORS."""

import re
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote_to_bytes
from uuid import uuid4

import structlog
from corsheaders import middleware as cors
from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_vary_headers
from structlog.contextvars import bind_contextvars, clear_contextvars

from credits.principals import Service, User
from mana_credits import metrics, tracing
from mana_credits.api import errors

if TYPE_CHECKING:
    from opentelemetry.trace import Span

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
BROKEN_BYTE = re.compile(r"%[89A-F][0-9A-F]")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

logger = structlog.get_logger("access")


def observe(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Assign a request id (the caller's valid `X-Request-Id` or a new one), log and count requests.

    The log contains the route, never the path, query, headers or body, so that no token, key or
    e-mail address gets into it. With a `traceparent` (W3C), it contains the trace and the caller's
    span.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid4().hex
        request.META["HTTP_X_REQUEST_ID"] = request_id
        clear_contextvars()
        bind_contextvars(request_id=request_id)
        trace, span = tracing.begin(request.META.get("HTTP_TRACEPARENT", ""))
        if trace:
            bind_contextvars(trace_id=trace.trace_id, span_id=trace.span_id)
        response = get_response(request)
        response["X-Request-Id"] = request_id
        if "Cache-Control" not in response:
            response["Cache-Control"] = "no-store"
        _record(request, response.status_code, time.perf_counter() - started, span)
        return response

    return middleware


def _record(request: HttpRequest, status: int, seconds: float, span: "Span | None") -> None:
    """Count the request, end its span, and write the line of the access log."""
    match = request.resolver_match
    route = match.route if match else ""
    method = request.method if request.method in METHODS else "OTHER"
    metrics.requests(method, route, status).observe(seconds)
    if span:
        tracing.end(span, method=method, route=route, status=status)
    logger.info(
        "request",
        method=method,
        route=route,
        status=status,
        milliseconds=round(seconds * 1000, 2),
        **_caller(request),
    )


def require_utf8(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Reject a path or a query that is not UTF-8 with 400.

    Django replaces an invalid byte of a path with the text `%FF`. A path that contains this text
    (sent as `%25FF`) is therefore rejected too: the two cannot be told apart.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        parameters = request.META.get("QUERY_STRING", "")
        if "%" in request.path_info and BROKEN_BYTE.search(request.path_info):
            return errors.malformed({"path": ["The path is not UTF-8."]})
        if parameters and not _is_utf8(unquote_to_bytes(parameters.encode("latin-1"))):
            return errors.malformed({"query": ["The query is not UTF-8."]})
        return get_response(request)

    return middleware


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _caller(request: HttpRequest) -> dict[str, str]:
    match getattr(request, "user", None):
        case User(id=user_id):
            return {"user": user_id}
        case Service() as service:
            return {"service": service.name or ""}
    return {}


class CorsMiddleware(cors.CorsMiddleware):
    """Runs django-cors-headers only for requests with an `Origin` header.

    Services send no `Origin`. The library's lookup in `request.headers` costs 20 microseconds for
    each of their requests.
    """

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Add the CORS headers. Without an `Origin`, add only `Vary: origin`."""
        if "HTTP_ORIGIN" in request.META:
            return super().__call__(request)
        response = cast("HttpResponseBase", self.get_response(request))
        patch_vary_headers(response, ("origin",))
        return response
