"""The outermost middleware: request id, access log and metrics."""

import random
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponseBase
from structlog.contextvars import bind_contextvars, clear_contextvars

from credits.principals import Service, User
from mana_credits import logs, metrics, tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Span

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


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
        request_id = given if REQUEST_ID.fullmatch(given) else _new_request_id()
        request.META["HTTP_X_REQUEST_ID"] = request_id
        # A thread serves many requests. The values of the last one must not appear in this one's
        # log.
        clear_contextvars()
        bind_contextvars(request_id=request_id)
        trace, span = tracing.begin(request.META.get("HTTP_TRACEPARENT", ""))
        if trace:
            bind_contextvars(trace_id=trace.trace_id, span_id=trace.span_id)
        response = get_response(request)
        response["X-Request-Id"] = request_id
        if "Cache-Control" not in response:
            response["Cache-Control"] = "no-store"
        _record(request, response, time.perf_counter() - started, span)
        return response

    return middleware


def _new_request_id() -> str:
    """Return 32 hexadecimal digits. They are no secret, and need no system call."""
    return f"{random.getrandbits(128):032x}"


def _record(
    request: HttpRequest, response: HttpResponseBase, seconds: float, span: "Span | None"
) -> None:
    """Count the request, end its span, and write the line of the access log."""
    status = response.status_code
    match = request.resolver_match
    route = match.route if match else ""
    # Clients can invent methods, and each label is a time series.
    method = request.method if request.method in METHODS else "OTHER"
    metrics.requests(method, route, status).observe(seconds)
    if span:
        tracing.end(span, method=method, route=route, status=status)
    logs.write_request(
        {
            "method": method,
            "route": route,
            "status": status,
            "milliseconds": round(seconds * 1000, 2),
            **(_error_code(response) if status >= 400 else {}),
            **_caller(request),
        }
    )


def _error_code(response: HttpResponseBase) -> dict[str, str]:
    """Return the code of an API error. Several causes share a status, for example 503."""
    match getattr(response, "data", None):
        case {"code": str(code)}:
            return {"code": code}
    return {}


def _caller(request: HttpRequest) -> dict[str, str]:
    match getattr(request, "user", None):
        case User(id=user_id):
            return {"user": user_id}
        case Service() as service:
            return {"service": service.name or ""}
    return {}
