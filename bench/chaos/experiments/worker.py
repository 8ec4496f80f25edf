"""The worker with locked rows, a slow receiver, and a clock that once was ahead."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from bench.chaos.experiment import Experiment
from bench.chaos.site import Site

USERS = [f"due-{number}" for number in range(10)]
STILL_OPEN = """
    SELECT count(*) FROM credits.reservations WHERE user_id = ANY(%s) AND status = 'open'
"""
LOCK = "SELECT 1 FROM credits.balances WHERE user_id = %s FOR UPDATE"
DRIP_SECONDS = 1
END_SECONDS = 10
START_SECONDS = 30


def hold_credits(site: Site) -> None:
    """Let ten users reserve credits for a second, and wait until these expire."""
    for user in USERS:
        site.grant(user, 100)
        body = {"userId": user, "amount": 5, "reason": "chat", "ttlSeconds": 1}
        status, _, content = site.ask("POST", "/api/v1/internal/credits/reserve", body)
        assert status == 200, content
    time.sleep(1.5)


def locked_balance(site: Site) -> str:
    """Lock one of ten balances with expired reservations, and run the worker's job."""
    assert _still_open(site) == len(USERS)
    with psycopg.connect(site.database_url) as holder:
        holder.execute(LOCK, [USERS[0]])
        ran = site.manage("expire_reservations")
        left = _still_open(site)
    assert left == 1, f"{left} of {len(USERS)} still open: {ran.stdout[-500:]}{ran.stderr[-500:]}"
    # 75 (EX_TEMPFAIL) tells a supervisor that rows stayed locked and a retry may succeed.
    assert ran.returncode == 75, f"the exit code is {ran.returncode}"
    again = site.manage("expire_reservations")
    assert _still_open(site) == again.returncode == 0, again.stderr
    return "9 of 10 expired beside the lock, the last one after it"


def _still_open(site: Site) -> int:
    return int(site.sql(STILL_OPEN, USERS)[0][0])


@contextmanager
def dripping_notify() -> Iterator[dict[str, str]]:
    """Run a mana-notify that sends one byte per second and never ends."""
    over = threading.Event()

    def drip(line: socket.socket) -> None:
        with line, suppress(OSError):
            line.sendall(b"HTTP/1.1 200 OK\r\nX-Drip: ")
            while not over.wait(DRIP_SECONDS):
                line.sendall(b"x")

    def accept(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=drip, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        try:
            yield {"MANA_NOTIFY_URL": f"http://127.0.0.1:{listener.getsockname()[1]}"}
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)


def stop_amid_a_drip(site: Site) -> str:
    """Send SIGTERM to a worker that waits for mana-notify."""
    site.sql(
        "INSERT INTO credits.outbox (id, key, user_id, body, due_at, created_at) "
        "VALUES (gen_random_uuid(), 'chaos:' || gen_random_uuid(), 'chaos', '{}', now(), now())"
    )
    worker = subprocess.Popen(
        [sys.executable, "-W", "ignore", "manage.py", "worker"],
        env=site.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_claimed(site)
        worker.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        code = worker.wait(timeout=3 * END_SECONDS)
        seconds = time.monotonic() - asked
    finally:
        worker.kill()
        worker.wait()
    assert seconds <= END_SECONDS, f"the worker ended after {seconds:.1f} s"
    return f"ended {seconds:.1f} s after SIGTERM with {code}"


def _wait_until_claimed(site: Site) -> None:
    deadline = time.monotonic() + START_SECONDS
    claimed = "SELECT count(*) FROM credits.outbox WHERE user_id = 'chaos' AND attempts > 0"
    while not site.sql(claimed)[0][0]:
        assert time.monotonic() < deadline, "the worker delivered nothing"
        time.sleep(0.1)


def clock_ahead(site: Site) -> str:
    """Record a night and a claim in 2028, as a clock that was ahead did."""
    site.sql(
        "INSERT INTO credits.job_runs (name, result, night, claimed_until) "
        "VALUES ('check_ledger', '{}', '2028-01-01', '2028-01-01') "
        "ON CONFLICT (name) DO UPDATE SET night = excluded.night, "
        "claimed_until = excluded.claimed_until"
    )
    ran = site.manage("worker", "--once")
    found = site.sql(
        "SELECT night < now()::date + 2 AND succeeded_at > now() - interval '1 hour' "
        "FROM credits.job_runs WHERE name = 'check_ledger'"
    )
    assert found == [(True,)], f"the nightly check did not run: {ran.stdout[-500:]}"
    return "the nightly check ran tonight"


EXPERIMENTS = (
    Experiment("5", "one locked balance, the worker", locked_balance, hold_credits),
    Experiment(
        "9", "mana-notify drips, the worker ends", stop_amid_a_drip, neighbours=dripping_notify
    ),
    Experiment("10", "a clock that ran ahead once", clock_ahead),
)
