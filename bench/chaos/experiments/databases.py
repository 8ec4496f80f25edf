"""PostgreSQL restarts, freezes, becomes read-only, or loses its synchronous standby."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

import psycopg

from bench.chaos.experiment import Experiment
from bench.chaos.site import Site

RECOVERED_WITHIN = 3
READY_WITHIN = 2
USE = {"userId": "prober", "amount": 1, "appId": "chaos", "description": "d"}


def restart(site: Site) -> str:
    """Stop PostgreSQL for 20 seconds. Measure the time until the first success after its return."""
    site.grant("prober")
    folder = Path(site.postgres.cmdline()[site.postgres.cmdline().index("-D") + 1])
    if not folder.is_absolute():
        folder = Path(site.postgres.cwd())
    command, binary, user = site.postgres.cmdline(), site.postgres.exe(), site.postgres.uids().real
    site.postgres.send_signal(signal.SIGINT)
    _until(lambda: not (folder / "postmaster.pid").exists(), 30)
    _stay_busy(site, 20)
    with Path(os.devnull).open("w") as nowhere:
        subprocess.Popen(
            [binary, *command[1:]],
            cwd=folder,
            stdout=nowhere,
            stderr=nowhere,
            user=user if os.geteuid() == 0 else None,
            start_new_session=True,
        )
    _until(lambda: _answers(site.database_url), 30)
    return f"first success {_first_success(site, 'k-restart'):.1f} s after it was back"


def freeze(site: Site) -> str:
    """Freeze PostgreSQL for 10 seconds. Meanwhile `/ready` must answer within 2 seconds."""
    site.grant("prober")
    processes = [site.postgres, *site.postgres.children()]
    for one in processes:
        one.send_signal(signal.SIGSTOP)
    try:
        slowest = max(_ready(site)[1] for _ in range(5))
        time.sleep(5)
    finally:
        for one in reversed(processes):
            one.send_signal(signal.SIGCONT)
    seconds = _first_success(site, "k-freeze")
    assert slowest < READY_WITHIN + 1, f"/ready took {slowest:.1f} s"
    return f"/ready at most {slowest:.1f} s, first success {seconds:.1f} s after"


def read_only(site: Site) -> str:
    """Make the database read-only for 8 seconds."""
    site.grant("prober")
    try:
        _set(site, "default_transaction_read_only", "on")
        statuses = set()
        end = time.monotonic() + 8
        while time.monotonic() < end:
            statuses.add(_use(site, f"k-{time.monotonic()}"))
            time.sleep(0.2)
    finally:
        _set(site, "default_transaction_read_only", "off")
    assert statuses <= {200, 503}, statuses
    assert 503 in statuses
    return f"statuses {sorted(statuses)}, then {_first_success(site, 'k-read'):.1f} s"


def standby_away(site: Site) -> str:
    """Make commits wait for a missing standby for 20 seconds."""
    site.grant("prober")
    _set(site, "synchronous_standby_names", "nobody")
    try:
        end = time.monotonic() + 20
        slowest, statuses, reads = 0.0, set(), set()
        while time.monotonic() < end:
            slowest = max(slowest, _ready(site)[1])
            reads.add(_read(site))
            statuses.add(_use(site, f"k-{time.monotonic()}"))
    finally:
        _set(site, "synchronous_standby_names", "")
    seconds = _first_success(site, "k-standby")
    assert slowest < READY_WITHIN + 1, f"/ready took {slowest:.1f} s"
    answers = f"reads {sorted(reads)}, writes {sorted(statuses)}"
    return f"/ready at most {slowest:.1f} s, {answers}, then {seconds:.1f} s"


def _set(site: Site, name: str, value: str) -> None:
    with psycopg.connect(site.database_url, autocommit=True) as line:
        # Otherwise this session could not switch the setting off again.
        line.execute("SET default_transaction_read_only = off")
        line.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
        if name == "synchronous_standby_names":
            line.execute("ALTER SYSTEM SET synchronous_commit = 'on'")
        line.execute("SELECT pg_reload_conf()")


def _use(site: Site, key: str) -> int:
    return _status(site, "POST", "/api/v1/internal/credits/use", {**USE, "idempotencyKey": key})


def _read(site: Site) -> int:
    return _status(site, "GET", "/api/v1/internal/credits/balance/prober", None)


def _status(site: Site, method: str, path: str, body: object) -> int:
    try:
        return site.ask(method, path, body, timeout=30)[0]
    except (OSError, HTTPException):
        return 0


def _ready(site: Site) -> tuple[int, float]:
    started = time.monotonic()
    status = _status(site, "GET", "/ready", None)
    return status, time.monotonic() - started


def _stay_busy(site: Site, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        _use(site, "k-away")
        time.sleep(0.2)


def _first_success(site: Site, key: str) -> float:
    started = time.monotonic()
    _until(lambda: _use(site, key) == 200, 60, pause=0.05)
    seconds = time.monotonic() - started
    assert seconds < RECOVERED_WITHIN, f"the first success came after {seconds:.1f} s"
    return seconds


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _until(done: Callable[[], bool], seconds: float, pause: float = 0.1) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(pause)


EXPERIMENTS = (
    Experiment("6a", "PostgreSQL away for 20 s", restart, own_server=True, outage=True),
    Experiment("6b", "PostgreSQL frozen", freeze, own_server=True, outage=True),
    Experiment("6c", "read-only database", read_only, own_server=True, outage=True),
    Experiment("7", "synchronous standby away", standby_away, own_server=True, outage=True),
)
