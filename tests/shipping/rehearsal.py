"""`make rehearsal`: deploy the committed state as the operations guide says, and check it.

It starts from a clean clone: the Dockerfile's steps in an empty folder and a new virtual
environment; PostgreSQL, PgBouncer, nginx with TLS and, if installed, Prometheus; the service and
its worker in production mode as an unprivileged user; an upgrade under load; a backup and its
restore. It downloads packages, so it is not a test. It prints its observations and exits with 1 at
the first fault.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

from mana_credits.dev.sandbox import identity
from mana_credits.dev.sandbox.identity import IdentityProvider
from tests.loopback import free_port
from tests.shipping import dockerfile, servers
from tests.shipping.front import Front, nginx, prometheus
from tests.shipping.load import Load
from tests.shipping.servers import PLAIN_USER, ROOT

USERS = 8
SECONDS = 4.0
READY_SECONDS = 60


class Release:
    """The installed service: folder, Python and environment."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder / "srv"
        self.python = str(folder / "venv/bin/python")
        self.environment = {"PATH": f"{folder}/venv/bin:/usr/bin:/bin", **environment}

    def manage(self, *command: str, **environment: str) -> str:
        """Run a command. Return its output."""
        return subprocess.run(
            [self.python, "-W", "ignore", "manage.py", *command],
            cwd=self.folder,
            env={**self.environment, **environment},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout

    @contextmanager
    def running(
        self, *command: str, log: Path, **environment: str
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a process of the service as a user without write access to it."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                [self.python, "-W", "ignore", *command],
                cwd=self.folder,
                env={**self.environment, **environment},
                user=PLAIN_USER if os.geteuid() == 0 else None,
                stdout=output,
                stderr=output,
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(timeout=60)

    def serving(self, port: int, *, log: Path) -> AbstractContextManager["subprocess.Popen[bytes]"]:
        """Run the web server on a port."""
        command = ("-m", "mana_credits.web_server")
        return self.running(*command, log=log, PORT=str(port), HOST="127.0.0.1")


def main() -> int:
    """Run the rehearsal."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mana-credits-rehearsal-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with ExitStack() as stack:
            rehearse(folder, stack)
    say(f"all seen in {time.monotonic() - started:.0f} s")
    return 0


def rehearse(folder: Path, stack: ExitStack) -> None:
    """Run all steps. Raises an error at the first fault."""
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    steps = dockerfile.build(clone, into=folder)
    say(f"built as the Dockerfile does: {len(steps)} steps, from a clean clone")

    postgres = stack.enter_context(servers.postgres(migrated=False))
    pooler_folder = folder / "pgbouncer"
    pooler_folder.mkdir()
    pooler = stack.enter_context(servers.pgbouncer(postgres, pooler_folder))
    key = identity.read_key(identity.new_key())
    provider = stack.enter_context(identity.serving(key))
    release = Release(folder, environment(clone, servers.url_of(pooler), provider))
    directly = {
        "DATABASE_URL": servers.url_of(postgres),
        "MIGRATIONS_DATABASE_URL": servers.url_of(postgres, user="mana_owner"),
        "DATABASE_BEHIND_POOLER": "0",
    }
    release.manage("migrate", "--no-input", **directly)
    release.manage(
        *("check", "--deploy", "--database", "default", "--fail-level", "ERROR"), **directly
    )

    ports = free_port(), free_port()
    front = stack.enter_context(nginx(folder, ports))
    log = folder / "service.log"
    old = stack.enter_context(release.serving(ports[0], log=log))
    jobs = servers.url_of(pooler, "mana_credits_jobs")
    worker = stack.enter_context(
        release.running("manage.py", "worker", log=folder / "worker.log", DATABASE_URL=jobs)
    )
    wait_until_ready(release, ports[0])
    look_from_outside(front, provider)
    scraped = stack.enter_context(prometheus(folder, ports[1]))
    upgrade(stack, release, front, ports, old, log)
    look_at_prometheus(scraped)
    stop(worker, "worker")
    back_up_and_restore(release, postgres, folder)
    look_at_logs(log, folder / "worker.log")


def environment(clone: Path, database: str, provider: IdentityProvider) -> dict[str, str]:
    """Return the variables of `.env.example` as an operator fills them in."""
    lines = (clone / ".env.example").read_text().splitlines()
    variables = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return {
        **variables,
        "SECRET_KEY": secrets.token_urlsafe(50),
        "MANA_SERVICE_KEY": SERVICE_KEY,
        "STRIPE_SECRET_KEY": "sk_test_rehearsal",
        "STRIPE_WEBHOOK_SECRET": f"whsec_{secrets.token_hex(16)}",
        "STRIPE_API_BASE": "http://127.0.0.1:9",
        "DATABASE_URL": database,
        "DATABASE_BEHIND_POOLER": "1",
        "DATABASE_PREPARED_STATEMENTS": str(int(servers.pgbouncer_version() >= (1, 21))),
        "ALLOWED_HOSTS": "credits.example.com,127.0.0.1",
        "BASE_URL": "https://credits.example.com",
        "MANA_AUTH_URL": provider.issuer,
        "JWT_ISSUER": provider.issuer,
        "CORS_ORIGINS": "https://app.example.com",
        "TRUSTED_PROXIES": "1",
    }


SERVICE_KEY = secrets.token_urlsafe(24)


def look_from_outside(front: Front, provider: IdentityProvider) -> None:
    """Check the service as a client on the internet."""
    status, headers, _ = front.ask("GET", "/health")
    assert status == 200
    assert headers["Strict-Transport-Security"].startswith("max-age=31536000")
    assert front.ask("GET", "/metrics")[0] == 404
    service = {"X-Service-Key": SERVICE_KEY}
    for number in range(USERS):
        user = f"user-{number}"
        grant = {"userId": user, "amount": 100_000, "reason": "t", "referenceId": user}
        status, _, body = front.ask("POST", "/api/v1/internal/credits/grant", grant, **service)
        assert (status, body["ok"]) == (200, True)
    alice = {"Authorization": f"Bearer {provider.token('user-0')}"}
    status, _, gift = front.ask("POST", "/api/v1/gifts", {"totalCredits": 10}, **alice)
    assert (status, gift["url"].split("/g/")[0]) == (201, "https://credits.example.com")
    bob = {"Authorization": f"Bearer {provider.token('user-1')}"}
    redeem = f"/api/v1/gifts/{gift['code']}/redeem"
    assert front.ask("POST", redeem, {}, **bob)[0] == 200
    assert front.ask("POST", "/api/v1/webhooks/stripe", {"id": "evt_forged"})[0] == 400
    assert front.ask("POST", "/api/v1/gifts", {"x": "x" * 300_000}, **alice)[0] == 413
    say("through TLS: health, grants, a gift, a refused webhook, a refused body; no /metrics")


def upgrade(
    stack: ExitStack,
    release: Release,
    front: Front,
    ports: tuple[int, int],
    old: "subprocess.Popen[bytes]",
    log: Path,
) -> None:
    """Start the next release beside the old one and stop the old one, under load."""
    with Load(front, SERVICE_KEY, users=USERS) as load:
        time.sleep(SECONDS)
        stack.enter_context(release.serving(ports[1], log=log))
        wait_until_ready(release, ports[1])
        before = load.answered
        stop(old, "old release")
        time.sleep(SECONDS)
    assert load.faults == [], load.faults[:5]
    assert load.answered > before
    say(f"upgraded under load: {load.answered} spends answered 200, none failed")


def look_at_prometheus(scraped: Front | None) -> None:
    """Check that Prometheus has the metrics and raises no alert."""
    if scraped is None:
        say("Prometheus is not installed: not looked at")
        return
    asked = "/api/v1/query?query=mana_credits_outstanding_credits"
    deadline = time.monotonic() + 15
    while not (found := scraped.ask("GET", asked)[2]["data"]["result"]):
        assert time.monotonic() < deadline, "nothing was scraped"
        time.sleep(0.5)
    assert float(found[0]["value"][1]) > 0
    rules = scraped.ask("GET", "/api/v1/rules")[2]["data"]["groups"][0]["rules"]
    assert {rule["health"] for rule in rules} == {"ok"}, rules
    firing = [rule["name"] for rule in rules if rule["state"] == "firing"]
    say(f"Prometheus scrapes, evaluates {len(rules)} alerts, firing: {firing or 'none'}")


def back_up_and_restore(release: Release, postgres: str, folder: Path) -> None:
    """Dump during operation, restore into another database, check the books there."""
    dump = folder / "backup.dump"
    owned = servers.url_of(postgres, user="mana_owner")
    servers.run_postgres("pg_dump", "-Fc", "-f", str(dump), owned)
    servers.create_database(postgres, "restored")
    restored = servers.url_of(postgres, "restored", user="mana_owner")
    options = ("--exit-on-error", "--no-owner", "--no-privileges", "-d", restored)
    servers.run_postgres("pg_restore", *options, str(dump))
    service = servers.url_of(postgres, "restored")
    elsewhere = {"DATABASE_URL": service, "DATABASE_BEHIND_POOLER": "0"}
    release.manage("migrate", **elsewhere, MIGRATIONS_DATABASE_URL=restored)
    checked = release.manage("check_ledger", **elsewhere)
    assert checked.splitlines()[-1] == "The books close."
    release.manage("migrate", "--check", **elsewhere)
    say(f"restored {dump.stat().st_size // 1024} KiB elsewhere: {' '.join(checked.split())}")


def look_at_logs(service: Path, worker: Path) -> None:
    """Check the logs for errors, except those of the missing Stripe."""
    lines = [json.loads(line) for line in service.read_text().splitlines()]
    failed = [
        line["job"]
        for line in map(json.loads, worker.read_text().splitlines())
        if line["event"] == "job_failed"
    ]
    assert [line for line in lines if "exception" in line] == []
    assert set(failed) <= {"reconcile_stripe"}, failed
    say(f"{len(lines)} lines of log, all of them JSON, no traceback")


def stop(process: "subprocess.Popen[bytes]", name: str) -> None:
    """Send SIGTERM and check the exit code."""
    process.send_signal(signal.SIGTERM)
    ended = process.wait(timeout=60)
    assert ended == 0, f"{name} ended with {ended}"
    say(f"{name} stopped by SIGTERM with 0")


def wait_until_ready(release: Release, port: int) -> None:
    """Wait for `/ready`, and check that the image's health check agrees."""
    place = Front("http", port)
    deadline = time.monotonic() + READY_SECONDS
    while (answer := _ready(place)) != 200:
        assert time.monotonic() < deadline, f"not ready: {answer}"
        time.sleep(0.1)
    subprocess.run(
        [release.python, "-m", "mana_credits.healthcheck"],
        cwd=release.folder,
        env={**release.environment, "PORT": str(port)},
        check=True,
    )


def _ready(place: Front) -> Any:
    """Return 200, or what is missing instead."""
    try:
        status, _, body = place.ask("GET", "/ready")
    except OSError as error:
        return error
    return 200 if status == 200 else body


def say(text: str) -> None:
    """Print an observation."""
    print(f"· {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
