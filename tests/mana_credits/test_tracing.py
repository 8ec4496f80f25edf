"""Traces: `traceparent` is logged, and spans are exported if configured."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from mana_credits import tracing
from mana_credits.tracing import Trace
from tests import running

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("header", "trace"),
    [
        (f"00-{TRACE}-{SPAN}-01", Trace(TRACE, SPAN)),
        (f"00-{TRACE}-{SPAN}-00", Trace(TRACE, SPAN)),
        (f"cc-{TRACE}-{SPAN}-01-what-a-later-version-adds", Trace(TRACE, SPAN)),
        (f"00-{TRACE}-{SPAN}-01-more", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{TRACE}-{SPAN}-01\n", None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_a_traceparent_is_read_as_the_standard_says(header: str, trace: Trace | None) -> None:
    assert tracing.trace_of(header) == trace


@pytest.mark.slow
def test_nothing_of_opentelemetry_is_loaded_while_it_is_off() -> None:
    program = "import mana_credits.wsgi, sys; print([n for n in sys.modules if 'opentel' in n])"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert done.stdout.decode().splitlines()[-1] == "[]"


class Collector(ThreadingHTTPServer):
    """Receives spans as OpenTelemetry's collector does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[ExportTraceServiceRequest] = []


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/traces":
            self.server.requests.append(ExportTraceServiceRequest.FromString(content))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.slow
@pytest.mark.usefixtures("committed")
def test_a_request_is_a_span_of_its_callers_trace(collector: Collector, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running.service(
        WEB_CONCURRENCY="1",
        LOG_LEVEL="INFO",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.server_port}/",
        OTEL_EXPORTER_OTLP_COMPRESSION="none",
        OTEL_BSP_SCHEDULE_DELAY="100",
        log=log,
    ) as service:
        line = service.connect()
        path = "/api/v1/internal/credits/balance/somebody-with-a-name"
        running.fetch(line, "GET", path, None, {"traceparent": f"00-{TRACE}-{SPAN}-01"})
        line.close()
        service.stop()

    deadline = time.monotonic() + 30
    while not (found := of_the_trace(collector)):
        assert time.monotonic() < deadline, "no span arrived"
        time.sleep(0.1)
    [span] = found
    attributes = {one.key: one.value for one in span.attributes}
    logged = [json.loads(text) for text in log.read_text().splitlines()]
    [request] = [one for one in logged if one.get("trace_id") == TRACE]
    assert span.parent_span_id.hex() == SPAN
    assert span.name == "GET api/v1/internal/credits/balance/<path:user_id>"
    assert attributes["http.response.status_code"].int_value == 401
    assert attributes["http.request.method"].string_value == "GET"
    assert request["span_id"] == span.span_id.hex()
    assert "somebody-with-a-name" not in str(collector.requests)


def of_the_trace(collector: Collector) -> list[Any]:
    return [
        span
        for request in collector.requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
        if span.trace_id.hex() == TRACE
    ]
