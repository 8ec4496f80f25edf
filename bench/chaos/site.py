"""The service under test: gunicorn on loopback, its database, and access to both."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import psycopg

from bench import database
from bench.environment import ENVIRONMENT, SERVICE_KEY
from mana_credits.dev import database_roles
from mana_credits.dev.sandbox.identity import IdentityProvider
from tests.loopback import free_port

START_SECONDS = 60
STOP_SECONDS = 40
COMMAND = [sys.executable, "-W", "ignore", "-m", "bench.production"]
CONFIGURATION = ["-c", "mana_credits/gunicorn.conf.py"]


class Site:
    """A service of two workers with four threads each, on a free port.

    `environment` adds the experiment's variables to those of production.
    """

    def __init__(self, database_url: str, provider: IdentityProvider, **environment: str) -> None:
        self.database_url = database_url
        self.provider = provider
        self.port = free_port()
        self._counts = TemporaryDirectory(prefix="mana-credits-chaos-")
        self.log = Path(self._counts.name, "service.log")
        self.environment = {
            **ENVIRONMENT,
            **database_roles.environment(database_url),
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "WEB_CONCURRENCY": "2",
            "WEB_THREADS": "4",
            "MANA_AUTH_URL": provider.issuer,
            "JWT_ISSUER": provider.issuer,
            **environment,
        }
        self.masters: list[subprocess.Popen[bytes]] = []

    @property
    def master(self) -> psutil.Process:
        """Return the gunicorn master that was started last."""
        return psutil.Process(self.masters[-1].pid)

    @property
    def postgres(self) -> psutil.Process:
        """Return the PostgreSQL postmaster. Raises AssertionError if it runs on another machine."""
        found = database.process(self.database_url)
        assert found, "PostgreSQL runs on another machine"
        return found

    def start(self) -> None:
        """Start gunicorn and wait until it is ready. Raises RuntimeError after START_SECONDS."""
        self.launch()
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.masters[-1].poll() is None:
            with suppress(OSError, HTTPException):
                if self.ask("GET", "/ready")[0] == 200:
                    return
            time.sleep(0.1)
        raise RuntimeError(f"The service did not start:\n{self.log.read_text()[-4000:]}")

    def launch(self) -> subprocess.Popen[bytes]:
        """Start gunicorn without waiting until it is ready."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [*COMMAND, *CONFIGURATION],
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.masters.append(process)
        return process

    def stop(self) -> None:
        """Stop all started processes. Kill those that do not end in time."""
        for process in self.masters:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.masters:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=STOP_SECONDS)
            with suppress(ProcessLookupError):
                # Workers may outlive their master, and the experiment with a killed master leaves
                # some.
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._counts.cleanup()

    def connect(self, timeout: float = 10) -> socket.socket:
        """Open a TCP connection to the service."""
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def ask(
        self, method: str, path: str, body: Any = None, *, timeout: float = 10, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one service request on a new connection. Return status, headers and body."""
        line = HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        content = None if body is None else json.dumps(body)
        try:
            line.request(method, path, content, {"X-Service-Key": SERVICE_KEY, **headers})
            answer = line.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            line.close()

    def grant(self, user_id: str, amount: int = 1_000_000) -> None:
        """Grant credits to a user."""
        body = {"userId": user_id, "amount": amount, "reason": "chaos"}
        body["referenceId"] = secrets.token_hex(8)
        status, _, content = self.ask("POST", "/api/v1/internal/credits/grant", body)
        assert status == 200, content

    def manage(self, *command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a `manage.py` command. `shell -c CODE` runs code with the project's models."""
        return subprocess.run(
            [sys.executable, "-W", "ignore", "manage.py", *command],
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement on the service's database and return its rows, if any."""
        with psycopg.connect(self.database_url) as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []
