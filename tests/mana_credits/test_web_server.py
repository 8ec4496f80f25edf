"""What gunicorn answers and logs itself, before the application is asked."""

import json
import socket
from pathlib import Path

import pytest

from tests import running

pytestmark = pytest.mark.usefixtures("committed")
PLANTED = "planted-secret"


def send(port: int, request: bytes) -> tuple[int, dict[str, str], dict[str, object]]:
    """Send bytes; return the status, the headers and the JSON of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(request)
        answer = b""
        while chunk := line.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    headers = dict(one.split(": ", 1) for one in rest)
    return int(first.split()[1]), headers, json.loads(body)


GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
REFUSED = [
    (b"GET /" + PLANTED.encode() + b"x" * 5000 + b" HTTP/1.1\r\n\r\n", 400, "bad_request"),
    (PLANTED.encode() + b"\r\n\r\n", 400, "bad_request"),
    (GET + b"X " + PLANTED.encode() + b": 1\r\n\r\n", 400, "bad_request"),
    (GET + b"X: " + b"x" * 9000 + PLANTED.encode() + b"\r\n\r\n", 431, "headers_too_large"),
    (GET + b"".join(b"X-%d: x\r\n" % n for n in range(60)) + b"\r\n", 431, "headers_too_large"),
]


def test_what_is_no_request_is_refused_in_the_envelope_and_quoted_nowhere(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running.service(WEB_CONCURRENCY="1", log=log, LOG_LEVEL="INFO") as service:
        answers = [send(service.port, request) for request, _, _ in REFUSED]
        healthy = send(service.port, GET + b"\r\n")

    assert [(status, body["code"]) for status, _, body in answers] == [
        (status, code) for _, status, code in REFUSED
    ]
    for status, headers, body in answers:
        assert (body["statusCode"], headers["Content-Type"]) == (status, "application/json")
        assert (headers["Connection"], headers["X-Content-Type-Options"]) == ("close", "nosniff")
        assert set(body) == {"statusCode", "message", "code"}
        assert PLANTED not in json.dumps(body)
    assert healthy[0] == 200
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    refusals = [one for one in lines if one["event"].startswith("Refused what is no request")]
    assert len(refusals) == len(REFUSED)
    assert {one["logger"] for one in refusals} == {"gunicorn.error"}
    assert PLANTED not in log.read_text()


def test_every_server_header_is_one_that_says_nothing_of_versions() -> None:
    with running.service(WEB_CONCURRENCY="1") as service:
        _, headers, _ = send(service.port, GET + b"\r\n")

    assert headers.get("Server", "") in {"", "gunicorn"}
