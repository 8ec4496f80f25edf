"""Traces across services: the caller's `traceparent` in the log, and OpenTelemetry spans.

If `OTEL_EXPORTER_OTLP_ENDPOINT` is set, each request exports a span (OTLP over HTTP). Then
OpenTelemetry's own variables such as `OTEL_TRACES_SAMPLER` apply too. Otherwise OpenTelemetry is
not imported, and tracing costs one header lookup per request.
"""

import re
from typing import TYPE_CHECKING, NamedTuple

from django.conf import settings

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

# https://www.w3.org/TR/trace-context/: version, trace id, caller's span id, flags. Versions after
# 00 may append fields.
TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
SERVER_ERROR = 500


class Trace(NamedTuple):
    """The trace of a request. `span_id` is the exported span, or the caller's if there is none."""

    trace_id: str
    span_id: str


class _Process:
    """The tracer of this process. It is None while the process exports no spans."""

    tracer: "Tracer | None" = None


def trace_of(header: str) -> Trace | None:
    """Return the trace of a `traceparent` header, or None if the header is invalid."""
    found = TRACEPARENT.fullmatch(header)
    if found is None:
        return None
    version, trace_id, span_id, _, more = found.groups()
    if not trace_id.strip("0") or not span_id.strip("0") or (version == "00" and more):
        return None
    return Trace(trace_id, span_id)


def export() -> None:
    """Start exporting spans from this process if TRACES_ENDPOINT is set.

    Call it after the fork: a thread sends the spans in batches, and threads do not survive a fork.
    """
    if not settings.TRACES_ENDPOINT:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    service = Resource.create({"service.name": settings.TRACES_SERVICE_NAME})
    provider = TracerProvider(resource=service)
    exporter = OTLPSpanExporter(endpoint=f"{settings.TRACES_ENDPOINT}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _Process.tracer = provider.get_tracer("mana_credits")


def begin(header: str) -> "tuple[Trace | None, Span | None]":
    """Return the trace of a request and a new span, or no span if spans are not exported."""
    caller = trace_of(header) if header else None
    if _Process.tracer is None:
        return caller, None
    from opentelemetry.trace import SpanKind, format_span_id, format_trace_id  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
        TraceContextTextMapPropagator,
    )

    parent = TraceContextTextMapPropagator().extract({"traceparent": header})
    span = _Process.tracer.start_span("request", context=parent, kind=SpanKind.SERVER)
    ours = span.get_span_context()
    return Trace(format_trace_id(ours.trace_id), format_span_id(ours.span_id)), span


def end(span: "Span", *, method: str, route: str, status: int) -> None:
    """End the span of a request. The span contains the route, never the path."""
    from opentelemetry.trace import StatusCode  # noqa: PLC0415

    span.update_name(f"{method} {route}".rstrip())
    span.set_attribute("http.request.method", method)
    span.set_attribute("http.route", route)
    span.set_attribute("http.response.status_code", status)
    if status >= SERVER_ERROR:
        span.set_status(StatusCode.ERROR)
    span.end()
