"""`make chaos` and the rehearsals end, leave nothing behind, and judge their results."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from bench.chaos import experiments
from bench.chaos.experiment import Experiment, Outcome
from bench.chaos.table import keep, table
from bench.failover.network import Address, to_the_primary
from bench.failover.verdict import discrepancies
from credits.models import Balance
from mana_credits.dev.embedded_postgres import program, temporary_server, wait_until_ended
from tests.factories import give
from tests.owner import as_owner
from tests.running import database_of_the_test

SERVES = """
import psycopg, time
from bench.interruption import bounded
from mana_credits.dev.embedded_postgres import temporary_server

with bounded({seconds}), temporary_server() as url, psycopg.connect(url) as line:
    print(line.execute("SHOW data_directory").fetchone()[0], flush=True)
    time.sleep(60)
"""
SLOW = Experiment("1z", "a slow neighbour", lambda _: "")


def start(seconds: int) -> tuple[subprocess.Popen[str], Path, psutil.Process]:
    """Start a program that runs a server. Return it, the server's folder and its process."""
    code = SERVES.format(seconds=seconds)
    running = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout
    folder = Path(running.stdout.readline().strip())
    return running, folder, server_of(folder)


def server_of(folder: Path) -> psutil.Process:
    """Return the first process of the server in this folder."""
    return psutil.Process(int((folder / "postmaster.pid").read_text().splitlines()[0]))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.slow
def test_a_run_that_is_stopped_removes_what_it_started(number: signal.Signals) -> None:
    running, folder, server = start(seconds=60)

    running.send_signal(number)
    running.send_signal(number)  # a second Ctrl-C, as impatient users send
    _, errors = running.communicate(timeout=30)

    assert (running.returncode, errors) == (1, "Stopped.\n")
    assert wait_until_ended([server], seconds=0) == []
    assert not folder.exists()


@pytest.mark.slow
def test_a_run_ends_by_itself() -> None:
    running, folder, server = start(seconds=4)

    _, errors = running.communicate(timeout=30)

    assert (running.returncode, errors) == (1, "The time limit is over.\n")
    assert wait_until_ended([server], seconds=0) == []
    assert not folder.exists()


@pytest.mark.slow
def test_a_server_that_was_restarted_meanwhile_is_stopped_too() -> None:
    with temporary_server() as url:
        with psycopg.connect(url) as line:
            found = line.execute("SHOW data_directory").fetchone()
        assert found
        folder = Path(found[0])
        first = server_of(folder)
        command, account = first.cmdline(), first.uids().real
        first.send_signal(signal.SIGINT)
        assert wait_until_ended([first], seconds=10) == []
        second = subprocess.Popen(
            [program("postgres"), *command[1:]],
            cwd=folder,
            user=account,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while not (folder / "postmaster.pid").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    assert second.wait(timeout=10) == 0


def test_each_of_the_thirteen_neighbours_has_an_experiment() -> None:
    numbers = [one.number for one in experiments.load()]

    assert {int(number.rstrip("abcdefgh")) for number in numbers} == set(range(1, 14))
    assert len(set(numbers)) == len(numbers)


def outcome(**found: object) -> Outcome:
    """Return an experiment's passing outcome, except for `found`."""
    quiet = {
        "quiet": [0.05] * 100,
        "during": [0.14] * 100,
        "health": [0.02],
        "health_quiet": [0.01],
    }
    judged = Outcome(SLOW, **{**quiet, **found})  # type: ignore[arg-type]
    judged.judge()
    return judged


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        ({"during": [0.05] * 90 + [0.16] * 10}, "bystanders waited, p95 over 150 ms"),
        ({"health": [0.02, 0.11]}, "/health over 100 ms"),
        ({"unanswered": 2}, "2 bystanders' keys never answered"),
        ({"lost": 1}, "1 lost, 0 doubled"),
        ({"doubled": 1}, "0 lost, 1 doubled"),
    ],
)
def test_what_an_experiment_must_not_show(found: dict[str, object], fault: str) -> None:
    assert outcome(**found).faults == [fault]


def test_a_refused_bystander_is_a_fault_except_in_an_outage() -> None:
    assert outcome(refused=1).faults == ["1 bystanders' requests refused"]

    away = Experiment("1y", "PostgreSQL away", lambda _: "", outage=True)
    judged = Outcome(away, refused=1, health=[0.02], health_quiet=[0.01])
    judged.judge()
    assert judged.faults == []


def test_a_good_outcome_has_no_fault() -> None:
    assert outcome().faults == []


def test_outcomes_of_several_runs_make_one_table(tmp_path: Path) -> None:
    path = tmp_path / "chaos.json"
    keep(path, "before", outcome(lost=1))
    keep(path, "now", outcome(lost=2))
    keep(path, "now", outcome(seen="16 clients"))

    lines = table(path, [SLOW, Experiment("2z", "never run", lambda _: "")]).splitlines()

    cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
    same = ["50 → 140", "0", "20"]
    assert cells == ["1z a slow neighbour", *same, "1 + 0", "FAILED", *same, "0 + 0", "passed"]
    assert lines[4:] == [
        "- 1z a slow neighbour, before: 1 lost, 0 doubled; no observation",
        "- 1z a slow neighbour, now: 16 clients",
    ]


def test_haproxy_leads_to_the_members_of_the_rehearsal() -> None:
    text = to_the_primary(Path("ops/haproxy.cfg").read_text(), 5000, [Address(5001, 8001)])

    assert "bind 127.0.0.1:5000\n" in text
    assert text.endswith("    server db1 127.0.0.1:5001 check port 8001\n")
    assert text.count("    server ") == 1


@pytest.mark.usefixtures("committed")
@pytest.mark.slow
def test_the_books_of_each_server_are_counted() -> None:
    give("alice", 10)
    with as_owner():
        Balance.objects.filter(pk="alice").update(posted=11, total_earned=11)

    wrong = discrepancies(database_of_the_test())
    with as_owner():
        Balance.objects.filter(pk="alice").update(posted=10, total_earned=10)

    assert wrong > 0
    assert discrepancies(database_of_the_test()) == 0
