"""The service in its production configuration: gunicorn on loopback."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import psycopg
from django.db import connection
from psycopg.conninfo import make_conninfo

from mana_credits.dev.database_roles import service_url
from tests.environment import SERVICE_KEY
from tests.loopback import free_port

START_SECONDS = 120


class Service:
    """A running service; `process` is gunicorn's master."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def connect(self) -> http.client.HTTPConnection:
        """Open a connection."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def workers(self) -> list[psutil.Process]:
        """Return the worker processes."""
        return psutil.Process(self.process.pid).children()

    def wait_for_workers(self, count: int) -> None:
        """Wait until `count` workers run; gunicorn forks them one by one."""
        deadline = time.monotonic() + START_SECONDS
        while len(self.workers()) < count:
            assert time.monotonic() < deadline, "the workers did not start"
            time.sleep(0.05)

    def stop(self) -> int:
        """Stop gracefully. Return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@contextmanager
def service(
    database: str = "", *, ready: int = 200, log: Path | None = None, **environment: str
) -> Iterator[Service]:
    """Run the service on `database` (default: the test's) and a free port during the context.

    `ready` is the status of `/ready` to wait for. The output is discarded or goes to `log`.
    """
    port = free_port()
    output = log.open("wb") if log else None
    counts = TemporaryDirectory(prefix="mana-credits-")  # a killed service cannot clean up
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "mana_credits.web_server"],
        env={
            **os.environ,
            "DATABASE_URL": service_url(database or database_of_the_test()),
            "DATABASE_POOL_SIZE": "8",
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "LOG_LEVEL": "CRITICAL",
            "PROMETHEUS_MULTIPROC_DIR": counts.name,
            **environment,
        },
        stdout=output or subprocess.DEVNULL,
        stderr=output,
    )
    running = Service(process, port)
    try:
        _wait_until_ready(running, ready)
        yield running
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        counts.cleanup()
        if output:
            output.close()


def database_of_the_test() -> str:
    """Return the URL of the test's database, for its owner."""
    return make_conninfo(os.environ["DATABASE_URL"], dbname=connection.settings_dict["NAME"])


def wait_for_lock_waiters(count: int) -> None:
    """Wait until exactly `count` requests wait for a lock of the test's database."""
    deadline = time.monotonic() + 10
    with psycopg.connect(database_of_the_test(), autocommit=True) as observer:
        while time.monotonic() < deadline:
            waiting = observer.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND wait_event_type = 'Lock'"
            ).fetchone()
            if waiting == (count,):
                return
            time.sleep(0.02)
    raise AssertionError("the requests do not wait")


def call(
    line: http.client.HTTPConnection, method: str, path: str, body: Any, **headers: str
) -> tuple[int, Any]:
    """Send a request with an optional JSON body. Return the status and the response."""
    status, _, text = fetch(line, method, path, None if body is None else json.dumps(body), headers)
    return status, json.loads(text)


def fetch(
    line: http.client.HTTPConnection,
    method: str,
    path: str,
    body: str | None,
    headers: dict[str, str],
) -> tuple[int, dict[str, str], str]:
    """Send a request. Return status, headers and text of the response."""
    line.request(method, path, body, headers)
    answer = line.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read().decode()


def ask(line: http.client.HTTPConnection, path: str, body: dict[str, Any]) -> tuple[int, Any, bool]:
    """POST `body` as a service. Return status, response, and whether the connection closes."""
    headers = {"X-Service-Key": SERVICE_KEY, "Content-Type": "application/json"}
    line.request("POST", f"/api/v1/internal/credits/{path}", json.dumps(body), headers)
    answer = line.getresponse()
    content = answer.read()
    return answer.status, json.loads(content), answer.will_close


def _wait_until_ready(running: Service, status: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert running.process.poll() is None, "the service did not start"
        with closing(running.connect()) as line, suppress(OSError):
            line.request("GET", "/ready")
            answer = line.getresponse()
            ready = answer.read() == b'{"status":"ready"}'
            if answer.status == status and ready == (status == 200):
                return
        time.sleep(0.05)
    raise AssertionError("the service is not ready")
