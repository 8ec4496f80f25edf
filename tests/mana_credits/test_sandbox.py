"""`make run`: the printed commands work, and Ctrl-C stops everything.

A killed run leaves processes behind, which the next run in the same folder stops.
"""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import psycopg
import pytest

from mana_credits.dev import embedded_postgres
from mana_credits.dev.embedded_postgres import wait_until_ended
from mana_credits.dev.sandbox import processes
from mana_credits.dev.sandbox.processes import ProcessRecord
from mana_credits.dev.sandbox.state import SandboxState
from tests.loopback import free_port

START_SECONDS = 300
SECRETS = ("SECRET_KEY", "MANA_SERVICE_KEY", "DATABASE_URL", "DEBUG", "MANA_AUTH_URL", "JWT_ISSUER")


UNREACHABLE_PROXY = "http://127.0.0.1:9"


def sandbox(folder: Path, **environment: str) -> "subprocess.Popen[str]":
    """Start the sandbox with a new developer's environment."""
    inherited = {name: value for name, value in os.environ.items() if name not in SECRETS}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "mana_credits.dev.sandbox"],
        # A company's proxy, which reaches nothing on this machine.
        env={
            **inherited,
            "http_proxy": UNREACHABLE_PROXY,
            "SANDBOX_DIR": str(folder),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that other users can traverse: as root, PostgreSQL runs as another user."""
    with tempfile.TemporaryDirectory(prefix="mana-credits-") as path:
        yield Path(path)


@contextmanager
def running(
    folder: Path, port: int, end: signal.Signals = signal.SIGINT
) -> Iterator[tuple[str, list[psutil.Process]]]:
    """Run the sandbox. Yield its output and its processes. Stop it like Ctrl-C."""
    process = sandbox(folder, PORT=str(port))
    assert process.stdout
    assert process.stderr
    with process, process.stdout, process.stderr:
        printed = ""
        deadline = time.monotonic() + START_SECONDS
        while "Ctrl-C" not in printed and time.monotonic() < deadline:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            printed += line
        started = psutil.Process(process.pid).children(recursive=True)
        try:
            yield printed, started
        finally:
            process.send_signal(end)
            last_words = "".join(process.communicate(timeout=120))
    assert [line for line in (printed + last_words).splitlines() if line.startswith("{")] == []
    if end == signal.SIGKILL:
        return
    assert process.returncode == 0, last_words
    gone, alive = psutil.wait_procs(started, timeout=5)
    assert (len(gone) > 0, alive) == (True, [])
    assert (folder / "postgres" / "PG_VERSION").exists()
    assert not (folder / "postgres" / "postmaster.pid").exists(), last_words
    assert not (folder / "processes.json").exists()


def paste(printed: str) -> list[dict[str, object]]:
    """Run the printed curl commands in a shell. Return their responses."""
    lines = re.findall(r"^  (curl .*)$", printed, re.MULTILINE)
    return [
        json.loads(subprocess.run(line, shell=True, capture_output=True, check=True).stdout)
        for line in lines
    ]


def buy(printed: str) -> dict[str, object]:
    """Run the printed commands that buy a package and pay for it."""
    line = re.search(r"^  (PURCHASE=.*)$", printed, re.MULTILINE)
    assert line
    paid: dict[str, object] = json.loads(
        subprocess.run(line[1], shell=True, capture_output=True, check=True).stdout
    )
    return paid


def wait_for_balance(printed: str, balance: float) -> None:
    """Wait until the payment's event has arrived."""
    look = re.findall(r"^  (curl .*/balance)$", printed, re.MULTILINE)[0]
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        seen = subprocess.run(look, shell=True, capture_output=True, check=True).stdout
        if json.loads(seen)["balance"] == balance:
            return
        time.sleep(0.2)
    raise AssertionError(seen)


def run_commands(printed: str) -> "subprocess.CompletedProcess[str]":
    """Run what is printed behind `Commands:`."""
    (line,) = re.findall(r"^Commands: +(.*)$", printed, re.MULTILINE)
    line = line.replace(".venv/bin/python", f"{shlex.quote(sys.executable)} -W ignore")
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_what_it_prints_works_also_after_a_killed_run_and_ctrl_c_stops_everything(
    folder: Path,
) -> None:
    port, state = free_port(), folder / "a state"

    with running(state, port, signal.SIGKILL) as (printed, left):
        balance, used, transactions, token = paste(printed)
        paid = buy(printed)
        wait_for_balance(printed, 982.9)
    still_there = {process.name() for process in left if process.is_running()}
    with running(state, port) as (printed, _):
        balance_later = paste(printed)[0]
        checked = run_commands(printed)
        alive = wait_until_ended(left, seconds=0)

    assert "postgres" in still_there
    assert len(still_there) >= 2  # and gunicorn or the worker, by any name
    assert alive == []
    totals = {"balance": 484.9, "totalEarned": 500, "totalSpent": 15.1}
    assert balance == {**totals, "held": 0, "expiring": []}
    assert used["newBalance"] == {"balance": 482.9, "totalEarned": 500, "totalSpent": 17.1}
    assert len(transactions) == 5
    assert list(token) == ["token"]
    assert paid["status"] == "succeeded"
    totals = {"balance": 982.9, "totalEarned": 1000, "totalSpent": 17.1}
    assert balance_later == {**totals, "held": 0, "expiring": []}
    assert (checked.returncode, checked.stderr) == (0, "")
    kept = [state / name for name in ("env", "identity.pem", "service-key")]
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}


@pytest.mark.slow
def test_what_a_killed_sandbox_left_is_taken_over_and_stopped(folder: Path) -> None:
    database = folder / "postgres"
    killed = (
        "import os, pathlib, signal, sys\n"
        "from mana_credits.dev.embedded_postgres import server\n"
        "with server(pathlib.Path(sys.argv[1])):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", killed, str(database)], check=False)
    assert (database / "postmaster.pid").exists()

    with embedded_postgres.server(database) as url, psycopg.connect(url) as connection:
        connection.execute("SELECT 1")

    assert not (database / "postmaster.pid").exists()


def test_an_interrupted_initdb_leaves_no_cluster_that_cannot_start(folder: Path) -> None:
    database = folder / "postgres"

    def interrupted(command: list[Path | str], **_: Any) -> None:
        (Path(command[-1]) / "PG_VERSION").write_text("18")  # which initdb writes first
        raise KeyboardInterrupt

    for _ in range(2):
        with (
            patch("mana_credits.dev.embedded_postgres.subprocess.run", interrupted),
            pytest.raises(KeyboardInterrupt),
            embedded_postgres.server(database),
        ):
            pass

        assert list(database.iterdir()) == []
        assert len([*folder.glob("postgres*")]) == 2  # the folder, and what initdb left


def test_a_killed_server_that_nobody_buried_does_not_block_the_next(folder: Path) -> None:
    """In a container, the first process may never read the exit codes of orphans."""
    state = folder / "postmaster.pid"
    with subprocess.Popen(["true"]) as ended:
        state.write_text(f"{ended.pid}\n")
        while psutil.Process(ended.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)

        assert embedded_postgres.stop_left_over(folder) is False

    assert not state.exists()


def test_a_secret_that_a_full_disk_cut_off_is_written_again(folder: Path) -> None:
    (folder / "service-key").touch()

    key = SandboxState(folder).service_key

    assert len(key) > 16
    assert SandboxState(folder).service_key == key


@pytest.mark.slow
@pytest.mark.parametrize("name", ["file", "file/below", "/proc/nowhere"])
def test_what_cannot_be_its_folder_is_said_in_a_sentence(folder: Path, name: str) -> None:
    (folder / "file").touch()

    with sandbox(folder / name) as process:
        _, said = process.communicate(timeout=60)

    assert process.returncode == 1
    assert re.fullmatch(rf"mana-credits cannot start: .*{name}: .+\. Set SANDBOX_DIR\.\n", said)


@pytest.mark.slow
def test_a_folder_in_use_is_said_in_a_sentence(folder: Path) -> None:
    with SandboxState(folder).lock():
        process = sandbox(folder, PORT=str(free_port()))
        _, complaint = process.communicate(timeout=120)

    assert process.returncode == 1
    assert complaint == (
        f"mana-credits cannot start: another sandbox uses {folder}. Stop it, or set SANDBOX_DIR.\n"
    )


def test_a_number_that_the_system_gave_to_another_process_stops_nothing(folder: Path) -> None:
    record = ProcessRecord(folder / "processes.json")
    with subprocess.Popen(["sleep", "60"]) as stranger:
        started = psutil.Process(stranger.pid).create_time()
        lines = [["worker", stranger.pid, started - 60], ["gunicorn", 2**22 - 1, started]]
        (folder / "processes.json").write_text(json.dumps(lines))
        left_of_another = record.left()
        (folder / "processes.json").write_text(json.dumps([["worker", stranger.pid, started]]))
        left = record.left()
        processes.stop(left, seconds=5)

    assert left_of_another == []
    assert [one.pid for one in left] == [stranger.pid]
    assert wait_until_ended(left, seconds=0) == []


@pytest.mark.parametrize("content", ["", "{", "[1]", '[["worker"]]', "null"])
def test_a_record_that_cannot_be_read_names_nothing(folder: Path, content: str) -> None:
    (folder / "processes.json").write_text(content)

    assert ProcessRecord(folder / "processes.json").left() == []


@pytest.mark.install
def test_a_closed_terminal_stops_everything(folder: Path) -> None:
    with running(folder / "state", free_port(), signal.SIGHUP) as (printed, started):
        pass

    assert "mana-credits is running." in printed
    assert len(started) >= 3


@pytest.mark.install
def test_the_next_run_stops_a_sandbox_whose_make_was_killed(folder: Path) -> None:
    port = free_port()
    inherited = {name: value for name, value in os.environ.items() if name not in SECRETS}
    shell = subprocess.Popen(
        ["sh", "-c", f"'{sys.executable}' -W ignore -m mana_credits.dev.sandbox & wait"],
        env={
            **inherited,
            "SANDBOX_DIR": str(folder / "state"),
            "PORT": str(port),
            "MAKELEVEL": "1",
        },
        stdout=subprocess.DEVNULL,
    )
    with shell:
        deadline = time.monotonic() + START_SECONDS
        while not ProcessRecord(folder / "state/processes.json").left():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        [runner] = psutil.Process(shell.pid).children()
        shell.kill()

    with running(folder / "state", port) as (printed, _):
        pass

    assert "mana-credits is running." in printed
    assert wait_until_ended([runner], seconds=0) == []


@pytest.mark.slow
@pytest.mark.parametrize("off", ["0", "false", "off"])
def test_nothing_of_it_starts_with_debug_off(folder: Path, off: str) -> None:
    process = sandbox(folder / "state", DEBUG=off)

    printed, complaint = process.communicate(timeout=120)

    assert process.returncode == 1
    assert printed == ""
    assert complaint == (
        "mana-credits cannot start: DEBUG is off. The sandbox has no protection and is for "
        "development.\n"
    )
    assert not (folder / "state").exists()


def test_a_busy_port_is_said_in_a_sentence(folder: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]

        process = sandbox(folder / "state", PORT=str(port))
        _, complaint = process.communicate(timeout=120)

    assert process.returncode == 1
    assert complaint == (
        f"mana-credits cannot start: port {port} is in use. "
        "Stop the process that uses it, or set PORT.\n"
    )
