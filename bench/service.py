"""The service in its production configuration: gunicorn on loopback."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from bench import database
from bench.environment import ENVIRONMENT
from mana_credits.dev.sandbox.identity import IdentityProvider
from tests.loopback import free_port

CONFIGURATION = "mana_credits/gunicorn.conf.py"
SEVERAL = 32  # users who make and redeem gifts
START_SECONDS = 30
STOP_SECONDS = 40


class Service(NamedTuple):
    """A running service: its URL, tokens of users, and the processes to measure."""

    url: str
    token: str
    tokens: list[str]
    database_url: str
    master: psutil.Process
    postgres: psutil.Process | None


@contextmanager
def serving(
    database_url: str, provider: IdentityProvider, *, log: Path, tree: Path = database.HERE
) -> Iterator[Service]:
    """Run gunicorn on a free port during the context. Its access log goes to `log`."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *("-W", "ignore"), *("-m", "bench.production", "-c", CONFIGURATION)],
            env={
                **ENVIRONMENT,
                **database.environment(database_url, tree),
                "HOST": "127.0.0.1",
                "PORT": str(port),
                "MANA_AUTH_URL": provider.issuer,
                "JWT_ISSUER": provider.issuer,
            },
            cwd=tree,
            stdout=output,
            start_new_session=True,  # Ctrl-C reaches only the bench, which then stops the service
        )
    try:
        _wait_until_ready(url, process)
        yield Service(
            url,
            provider.token(database.USER),
            [provider.token(f"user-{number}") for number in range(1, SEVERAL + 1)],
            database_url,
            psutil.Process(process.pid),
            database.process(database_url),
        )
    finally:
        _stop(process)


def workers_and_threads() -> str:
    """Return the number of workers and threads in this environment."""
    defaults = dict(re.findall(r'"(WEB_\w+)", default=(\d+)', Path(CONFIGURATION).read_text()))
    workers = os.environ.get("WEB_CONCURRENCY", str(os.cpu_count() or 2))
    threads = os.environ.get("WEB_THREADS", defaults["WEB_THREADS"])
    return f"{workers} workers of {threads} threads"


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(f"{url}/ready") as answer:
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise SystemExit("The service did not start. See its log for the reason.")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
