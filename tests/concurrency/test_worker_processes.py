"""Real worker processes, killed and stopped in the middle of their work."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

from django.db import connection
from psycopg.conninfo import make_conninfo

from credits import worker
from credits.models import Balance, SyncSubscription, Transaction
from tests.factories import due_subscribers

ROOT = Path(__file__).resolve().parents[2]


def charges() -> int:
    return Transaction.objects.filter(operation="cloud_sync").count()


@contextmanager
def worker_process() -> Iterator[subprocess.Popen[bytes]]:
    """Run `manage.py worker` on the test's database; leave no process behind."""
    parts = connection.get_connection_params()
    names = ("dbname", "user", "password", "host", "port")
    database = make_conninfo(**{name: parts[name] for name in names if parts.get(name)})
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "manage.py", "worker"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database},
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(count: int) -> None:
    deadline = time.monotonic() + 30
    while charges() < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_worker_killed_and_one_stopped_amid_1000_renewals_leave_1000_charges(
    committed: None,
) -> None:
    now = datetime.now(UTC)
    due_subscribers(1000, since=now - timedelta(days=1))

    with worker_process() as process:
        wait_for(100)
        process.kill()
        process.wait()
    after_kill = charges()
    with worker_process() as process:
        wait_for(after_kill + 100)
        process.send_signal(signal.SIGTERM)
        exit_code = process.wait(timeout=10)
    after_stop = charges()
    worker.work_once(Event())

    assert exit_code == 0
    assert 100 <= after_kill < after_stop < 1000
    assert charges() == 1000
    assert SyncSubscription.objects.filter(paid_until__gt=now).count() == 1000
    assert set(Balance.objects.values_list("posted", flat=True)) == {0}
