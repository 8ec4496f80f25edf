"""`make run`: the whole service on this machine, with its own database, users and tokens."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import TextIO
from urllib.error import URLError

from django.db import DatabaseError

from mana_credits.command_errors import sentence_for
from mana_credits.dev import database_roles, embedded_postgres
from mana_credits.dev.sandbox import identity, processes, receivers, stripe
from mana_credits.dev.sandbox.state import SandboxState
from mana_credits.dev.sandbox.welcome import welcome
from mana_credits.environment import Environment, EnvironmentInvalid, web_processes, whole_number

IDENTITY_PORT = 3001
RECEIVERS_PORT = 3002
START_SECONDS = 120
STOP_SECONDS = 40


class CannotStart(Exception):
    """The sandbox cannot start. The message contains the reason."""


def main() -> int:
    """Run until Ctrl-C, SIGTERM, SIGHUP or the end of the service. Return the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # As under nohup: an ignored signal stays ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    try:
        with ExitStack() as stack:
            _run(stack)
    except (CannotStart, EnvironmentInvalid, embedded_postgres.NotStarted) as reason:
        print(f"mana-credits cannot start: {reason}", file=sys.stderr)
        return 1
    except DatabaseError as error:
        sentence = sentence_for(error)  # such as a full disk
        if not sentence:
            raise
        print(f"mana-credits cannot start: {sentence}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.")
    return 0


def _run(stack: ExitStack) -> None:
    port = whole_number("PORT", default=3061, at_least=1, at_most=65535)
    web_processes()
    _leave_out_proxy()
    made_by = processes.started_by_make()
    _refuse_production()
    state = _state()
    _lock(stack, state)
    _stop_what_is_left(state)
    _refuse_busy(port)
    state.processes.begin()
    stack.callback(state.processes.clear)
    log = stack.enter_context(state.log.open("a", buffering=1))
    provider = stack.enter_context(
        identity.serving(state.identity_key, port=_free_or(IDENTITY_PORT))
    )
    environment = _surroundings(stack, state, provider, port)
    state.write_environment(environment)
    os.environ.update(environment)
    package = _prepare_database(log)
    print("Starting the service …", flush=True)
    command = ["-m", "mana_credits.web_server"]
    service = stack.enter_context(_process("gunicorn", command, state))
    _wait_until_ready(service, environment["BASE_URL"], state)
    worker = stack.enter_context(_process("worker", ["manage.py", "worker"], state))
    welcome(state, provider, package, environment)
    while service.poll() is None and worker.poll() is None:
        if made_by not in {0, os.getppid()}:  # `make run` was killed
            raise KeyboardInterrupt
        time.sleep(0.5)
    raise CannotStart(f"a process of the service ended unexpectedly. Its log is {state.log}")


def _surroundings(
    stack: ExitStack, state: SandboxState, provider: identity.IdentityProvider, port: int
) -> dict[str, str]:
    """Start the surrounding services. Return the environment variables that point to them."""
    url = f"http://localhost:{port}"
    receiver = stack.enter_context(receivers.serving(port=_free_or(RECEIVERS_PORT)))
    return {
        "DEBUG": "1",
        "PORT": str(port),
        "BASE_URL": url,
        "SECRET_KEY": state.secret_key,
        "MANA_SERVICE_KEY": state.service_key,
        "STATEMENT_KEYS": state.statement_key,
        "MANA_AUTH_URL": provider.issuer,
        **stack.enter_context(_database(state)),
        "MANA_NOTIFY_URL": receiver,
        "EVENT_HOSTS": receiver.removeprefix("http://"),
        "EVENT_HOSTS_MAY_BE_LOCAL": "1",
        "STRIPE_SECRET_KEY": "sk_sandbox",
        "STRIPE_WEBHOOK_SECRET": state.webhook_secret,
        "STRIPE_API_BASE": stack.enter_context(
            stripe.serving(webhook=f"{url}/api/v1/webhooks/stripe", secret=state.webhook_secret)
        ),
    }


def _leave_out_proxy() -> None:
    """Reach this machine directly, although the environment names an HTTP proxy."""
    names = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    local = ",".join(filter(None, [names, "localhost,127.0.0.1"]))
    os.environ.update(no_proxy=local, NO_PROXY=local)


def _refuse_production() -> None:
    if not Environment().flag("DEBUG", default=True):
        raise CannotStart("DEBUG is off. The sandbox has no protection and is for development.")


def _refuse_busy(port: int) -> None:
    if _free_or(port) != port:
        raise CannotStart(f"port {port} is in use. Stop the process that uses it, or set PORT.")


def _state() -> SandboxState:
    folder = Path(os.environ.get("SANDBOX_DIR") or ".sandbox").resolve()
    try:
        return SandboxState(folder)
    except OSError as error:
        raise CannotStart(f"{folder}: {error.strerror}. Set SANDBOX_DIR.") from None


def _lock(stack: ExitStack, state: SandboxState) -> None:
    """Lock the folder against other sandboxes. Stop a sandbox whose `make run` was killed."""
    try:
        stack.enter_context(state.lock())
    except PermissionError:
        owner = f"{state.folder} belongs to another user"
        raise CannotStart(f"{owner}. Delete it as that user, or set SANDBOX_DIR.") from None
    except BlockingIOError:
        orphan = state.processes.orphan()
        if orphan is None:
            raise CannotStart(
                f"another sandbox uses {state.folder}. Stop it, or set SANDBOX_DIR."
            ) from None
        processes.stop([orphan], seconds=STOP_SECONDS)
        stack.enter_context(state.lock())


def _stop_what_is_left(state: SandboxState) -> None:
    """Stop the processes that a killed run left in this folder."""
    left = state.processes.left()
    if left:
        print("Stopping processes of an earlier run …", flush=True)
        processes.stop(left, seconds=STOP_SECONDS)
        embedded_postgres.stop_left_over(state.database)


def _free_or(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port


@contextmanager
def _database(state: SandboxState) -> Iterator[dict[str, str]]:
    """Yield the variables of the database: its owner's URL, and the service's."""
    if url := os.environ.get("DATABASE_URL"):
        owner = os.environ.get("MIGRATIONS_DATABASE_URL", "")
        yield {"DATABASE_URL": url, "MIGRATIONS_DATABASE_URL": owner}
        return
    print("Starting PostgreSQL …", flush=True)
    with embedded_postgres.server(state.database) as url:
        yield database_roles.environment(url)


def _prepare_database(log: TextIO) -> str:
    """Migrate and seed. Return the id of a package to buy.

    Log lines of this process go to `log`, like the service's, and keep the terminal readable.
    """
    print("Migrating and seeding …", flush=True)
    os.environ["DJANGO_SETTINGS_MODULE"] = "mana_credits.settings"
    _manage("migrate", "-v0")
    # Only the owner may write without the ledger's functions, as the demo data does in part.
    owner = os.environ["MIGRATIONS_DATABASE_URL"] or os.environ["DATABASE_URL"]
    service = os.environ["DATABASE_URL"]
    os.environ["DATABASE_URL"] = owner
    import django  # noqa: PLC0415  # its settings read the environment set above
    from django.db import connection  # noqa: PLC0415

    with redirect_stdout(log):
        django.setup()
    from mana_credits.dev.sandbox.demo_operators import seed_desk, seed_staff  # noqa: PLC0415
    from mana_credits.dev.sandbox.seed import seed, seed_community, seed_packages  # noqa: PLC0415

    seed_staff()
    seed()
    seed_desk()
    package = seed_packages()
    if seed_community():
        print("Created a demo community with a year of history.", flush=True)
    connection.close_pool()  # type: ignore[attr-defined]
    os.environ["DATABASE_URL"] = service
    return str(package.pk)


def _manage(*command: str) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", *command], check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise CannotStart(f"the database cannot be migrated.\n{done.stderr[-2000:]}")


@contextmanager
def _process(
    name: str, arguments: list[str], state: SandboxState
) -> Iterator["subprocess.Popen[bytes]"]:
    with state.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, "HOST": "127.0.0.1"},
            stdout=log,
            stderr=log,
            start_new_session=True,  # the sandbox stops it gracefully; Ctrl-C must not reach it
        )
    state.processes.add(name, process.pid)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(process: "subprocess.Popen[bytes]", url: str, state: SandboxState) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/ready", timeout=2):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise CannotStart(f"the service did not become ready. Its log is {state.log}")


def _interrupt(number: int, frame: FrameType | None) -> None:
    for again in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(again, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the shutdown
    if number == signal.SIGHUP:  # the terminal is gone
        sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
