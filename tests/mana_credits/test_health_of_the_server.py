"""The web apps read `/health` of the real server across origins."""

from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection

import pytest

from tests import running
from tests.running import Service

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture(scope="module")
def plain(django_db_setup: None) -> Iterator[Service]:
    """A service of one worker with two threads."""
    with running.service(WEB_CONCURRENCY="1", WEB_THREADS="2") as service:
        yield service


@pytest.mark.parametrize(
    ("method", "path", "origin", "allowed"),
    [
        ("GET", "/health", "http://localhost:5173", "http://localhost:5173"),
        ("OPTIONS", "/health", "http://localhost:5180", "http://localhost:5180"),
        ("GET", "/health", "https://elsewhere.example", None),
        ("GET", "/health", "null", None),
        ("GET", "/health?x=1", "http://localhost:5173", "http://localhost:5173"),
        ("GET", "/healthy", "http://localhost:5173", None),
    ],
)
def test_the_apps_may_read_whether_the_server_is_alive(
    plain: Service, method: str, path: str, origin: str, allowed: str | None
) -> None:
    with closing(HTTPConnection("127.0.0.1", plain.port, timeout=10)) as line:
        asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        line.request(method, path, headers=asked)
        answer = line.getresponse()
        answer.read()

    assert answer.status == (404 if path == "/healthy" else 200)
    assert answer.headers["Access-Control-Allow-Origin"] == allowed
    assert answer.headers["Access-Control-Allow-Credentials"] == ("true" if allowed else None)
    if path != "/healthy":
        assert "origin" in answer.headers["Vary"].lower()
