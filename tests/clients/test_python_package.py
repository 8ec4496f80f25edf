"""The package `clients/python`, built, installed and used with the sandbox."""

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.clients.conftest import FOLDER, ROOT
from tests.clients.test_generators import running_sandbox

pytestmark = pytest.mark.clients

PYTHON = FOLDER / "python" / "bin" / "python"
EXAMPLE = re.compile(r"## A service in Python.*?```python\n(.*?)```", re.DOTALL)
LONGEST_EXAMPLE = 30
JOURNEY = Path(__file__).with_name("package_journey.py")
TYPED = """
from mana_credits_client import AsyncCredits, Credits
credits = Credits("http://localhost", "key")
reveal_type(credits.use("u", amount=1, app_id="a", description="d").new_balance.balance)
credits.use("u", amount="much", app_id="a", description="d")
"""


class Unreliable(BaseHTTPRequestHandler):
    """Forwards requests, but answers a key's third POST only.

    It drops the first response and replaces the second by a page of its own.
    """

    target = ""
    attempts: Counter[str]

    def do_POST(self) -> None:
        """Forward a POST. The first time, close the connection without a response."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, answer = self._forward(body)
        key = self.headers["Idempotency-Key"]
        self.attempts[key] += 1
        if self.attempts[key] == 1:
            self.close_connection = True
        elif self.attempts[key] == 2:
            self._answer(503, b"<h1>503 Service Temporarily Unavailable</h1>", kind="text/html")
        else:
            self._answer(status, answer)

    def do_GET(self) -> None:
        """Forward a GET."""
        self._answer(*self._forward(None))

    def _forward(self, body: bytes | None) -> tuple[int, bytes]:
        request = Request(self.target + self.path, body, dict(self.headers), method=self.command)
        try:
            with urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except HTTPError as refusal:
            return refusal.code, refusal.read()

    def _answer(self, status: int, body: bytes, *, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Log nothing."""


@contextmanager
def unreliable(target: str) -> Iterator[str]:
    """Run a proxy in front of `target` that loses responses. Yield its URL."""
    handler = type("Handler", (Unreliable,), {"target": target, "attempts": Counter()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the sources and unpack it. Return the folder."""
    if not PYTHON.exists():
        pytest.skip("the generators are not installed: `make test-clients` installs them")
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(ROOT / "clients" / "python", folder / "clients" / "python")
    (folder / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "openapi.yaml", folder / "docs")
    target = folder / "installed"
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    _run(
        PYTHON,
        "-m",
        "pip",
        "install",
        *options,
        f"--target={target}",
        "./clients/python",
        cwd=folder,
    )
    return target


def _run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def example() -> str:
    """Return the example service of docs/api.md."""
    found = EXAMPLE.search((ROOT / "docs" / "api.md").read_text())
    assert found
    return found[1]


def test_the_example_is_short() -> None:
    lines = [line for line in example().splitlines() if line.strip()]

    assert len(lines) <= LONGEST_EXAMPLE


def test_the_example_runs_although_answers_are_lost(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "example.py").write_text(example())
    with running_sandbox(tmp_path / "state") as settings, unreliable(settings["BASE_URL"]) as url:
        _run(
            PYTHON,
            JOURNEY,
            cwd=tmp_path,
            PYTHONPATH=f"{installed}:{tmp_path}",
            URL=url,
            KEY=settings["MANA_SERVICE_KEY"],
        )


def test_the_client_is_typed(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "typed.py").write_text(TYPED)
    checked = subprocess.run(
        [PYTHON, "-m", "mypy", "--strict", "typed.py"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "MYPYPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )

    assert 'Revealed type is "float"' in checked.stdout
    assert 'Argument "amount" to "use" of "Credits" has incompatible type "str"' in checked.stdout


def test_the_sources_are_typed(installed: Path) -> None:
    own = [str(path) for path in (installed / "mana_credits_client").glob("*.py")]

    _run(PYTHON, "-m", "mypy", "--strict", "--follow-imports=silent", *own, cwd=installed)
