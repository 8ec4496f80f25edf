"""Client generators and linters accept the API's description unchanged."""

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clients.conftest import FOLDER, ROOT, Run
from tests.declared import operations
from tests.loopback import free_port
from tests.mana_credits.test_sandbox import sandbox

pytestmark = pytest.mark.clients

DESCRIPTION = ROOT / "docs" / "openapi.yaml"
COMPILER = (
    *("--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "esnext"),
    *("--moduleResolution", "bundler", "--lib", "es2022,dom,dom.iterable"),
)
RULES = 'extends: ["spectral:oas"]\n'


def test_redocly_has_no_complaint(run: Run) -> None:
    printed = run("redocly", "lint", "--format=json", str(DESCRIPTION))

    report = json.loads(printed[printed.index("{") : printed.rindex("}") + 1])
    assert report["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}


def test_spectral_has_no_complaint(run: Run, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)

    printed = run("spectral", "lint", "-r", "rules.yaml", "-F", "hint", str(DESCRIPTION))

    assert "No results with a severity of 'hint' or higher found!" in printed


def test_the_typescript_client_has_every_operation_and_compiles(run: Run, tmp_path: Path) -> None:
    run("openapi-ts", "-i", str(DESCRIPTION), "-o", "client")
    run("tsc", *COMPILER, "client/index.ts")

    code = (tmp_path / "client" / "sdk.gen.ts").read_text()
    bodies = [one for *_, one in operations().values() if "requestBody" in one]
    assert len(re.findall("^export const ", code, re.MULTILINE)) == len(operations())
    assert code.count("'Content-Type': 'application/json'") == len(bodies)
    assert "*/*" not in code


@contextmanager
def running_sandbox(folder: Path) -> Iterator[dict[str, str]]:
    """Run the service of `make run`. Yield its environment."""
    process = sandbox(folder, PORT=str(free_port()))
    assert process.stdout
    with process:
        try:
            assert any("Ctrl-C" in line for line in process.stdout)
            lines = (folder / "env").read_text().splitlines()
            exported = (line.removeprefix("export ").partition("=") for line in lines)
            yield {name: shlex.split(value)[0] for name, _, value in exported}
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=120)


@pytest.fixture
def python_client(run: Run, tmp_path: Path) -> Path:
    """Return the folder of the generated `mana_client`. A generator warning fails the test."""
    target = tmp_path / "mana_client"
    options = ("--meta", "none", "--fail-on-warning", "--output-path", str(target))
    run("openapi-python-client", "generate", "--path", str(DESCRIPTION), *options)
    return tmp_path


def test_the_python_client_has_every_operation(python_client: Path) -> None:
    modules = {path.stem for path in python_client.glob("mana_client/api/*/*.py")}

    assert modules - {"__init__"} == set(operations())


def test_the_python_client_does_every_operation_with_the_running_sandbox(
    python_client: Path,
) -> None:
    with running_sandbox(python_client / "state") as settings:
        journey = subprocess.run(
            [FOLDER / "python" / "bin" / "python", Path(__file__).with_name("journey.py")],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(python_client),
                "URL": settings["BASE_URL"],
                "ISSUER": settings["MANA_AUTH_URL"],
                "STRIPE": settings["STRIPE_API_BASE"],
                "SERVICE_KEY": settings["MANA_SERVICE_KEY"],
                "WEBHOOK_SECRET": settings["STRIPE_WEBHOOK_SECRET"],
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    assert journey.returncode == 0, journey.stdout + journey.stderr
    assert set(json.loads(journey.stdout)) == set(operations())
