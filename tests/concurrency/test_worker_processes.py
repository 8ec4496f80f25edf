"""Worker processes that are killed and stopped during their work."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Event, Thread
from uuid import uuid4

import psutil
import psycopg
import pytest
from django.db import connection, transaction
from django.db.models import Count

from credits import worker
from credits.ledger import campaign_grants, grant_files
from credits.models import Balance, GrantCampaign, SyncSubscription, Transaction
from credits.outbox import outbox
from gifts import expiry
from gifts.models import GiftCode
from mana_credits.dev.embedded_postgres import temporary_server
from tests.factories import due_subscribers, gift, give
from tests.owner import as_owner
from tests.running import database_of_the_test

ROOT = Path(__file__).resolve().parents[2]


def charges() -> int:
    return Transaction.objects.filter(operation="cloud_sync").count()


@contextmanager
def worker_process(database: str = "", **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `manage.py worker` on the test's database. Leave no process behind."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "manage.py", "worker"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database or database_of_the_test(), **environment},
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(count: int) -> None:
    wait_until(lambda: charges() >= count)


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
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


def grants() -> int:
    return Transaction.objects.filter(type="grant").count()


@pytest.mark.slow
def test_a_worker_killed_and_one_stopped_amid_3000_grants_leave_3000_grants(
    committed: None,
) -> None:
    text = "user_id,credits\n" + "".join(f"u-{number},0.1\n" for number in range(3_000))
    file = grant_files.parse(text.encode(), "the file")
    campaign = GrantCampaign(
        id=uuid4(), name="winter", state="running", asked_by="sam", asked_at=datetime.now(UTC)
    )
    campaign_grants.store(campaign, file)

    with worker_process() as process:
        wait_until(lambda: grants() >= 200)
        process.kill()
        process.wait()
    after_kill = grants()
    with worker_process() as process:
        wait_until(lambda: grants() > after_kill)
        process.send_signal(signal.SIGTERM)
        exit_code = process.wait(timeout=10)
    after_stop = grants()
    recorded = campaign.grants.filter(outcome="granted").count()
    worker.work_once(Event())

    assert exit_code == 0
    assert 200 <= after_kill < after_stop < 3_000
    assert recorded == after_stop
    assert grants() == Balance.objects.filter(posted=Decimal("0.1")).count() == 3_000
    assert set(campaign.grants.values_list("outcome", flat=True)) == {"granted"}
    campaign.refresh_from_db()
    assert campaign.state == "completed"


FREEZES = """
import time
from django.db import connection, transaction
from credits.models import Balance
with transaction.atomic():
    Balance.objects.select_for_update().get(pk="alice")
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.mark.slow
def test_a_process_frozen_in_a_transaction_loses_its_locks(committed: None) -> None:
    give("alice", 10)
    command = [sys.executable, "-W", "ignore", "manage.py", "shell", "-v0", "-c", FREEZES]
    environment = {"DATABASE_URL": database_of_the_test(), "DATABASE_IDLE_TIMEOUT": "3s"}
    frozen = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert frozen.stdout
        assert frozen.stdout.readline() == "locked\n"
        frozen.send_signal(signal.SIGSTOP)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '10s'")
            began = time.monotonic()
            with as_owner():
                Balance.objects.select_for_update().get(pk="alice")
            waited = time.monotonic() - began
    finally:
        frozen.kill()
        frozen.communicate()

    assert 0.1 < waited < 8


def test_a_transaction_may_be_idle_for_a_minute(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("1min",)


@pytest.mark.slow
def test_a_worker_stopped_amid_its_work_keeps_one_row_from_the_others(committed: None) -> None:
    """Before, it held a batch of gifts and their creators' balances."""
    now = datetime.now(UTC)
    for number in range(200):
        give(f"creator-{number}", 3)
        gift(f"creator-{number}", 3, at=now - timedelta(days=2), days=1)
    active = GiftCode.objects.filter(status="active")

    with worker_process() as process:
        wait_until(lambda: active.count() < 190)
        process.send_signal(signal.SIGSTOP)
        left = active.count()
        outcomes = list(expiry.expire_due(now=now, limit=1000))
        skipped = active.count()
        process.send_signal(signal.SIGCONT)
        wait_until(lambda: active.count() == 0)

    assert left > 1
    assert outcomes.count("expired") in {left, left - 1}
    assert outcomes.count("skipped") == skipped <= 1
    returned = Transaction.objects.filter(cause__startswith="gift:")
    assert returned.count() == 200
    assert not returned.values("cause").annotate(times=Count("id")).filter(times__gt=1).exists()
    assert set(Balance.objects.values_list("posted", flat=True)) == {3}


@pytest.mark.slow
def test_sigterm_ends_a_worker_whose_receiver_drips(committed: None) -> None:
    """A byte per second never exceeds a socket's timeout."""
    with transaction.atomic():
        outbox.tell("alice", {"body": "Hello"}, key="k", now=datetime.now(UTC))
    with dripping() as (url, called), worker_process(MANA_NOTIFY_URL=url) as process:
        assert called.wait(30)

        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=20)

    assert code in {0, 1}
    assert outbox.next_due(datetime.now(UTC)) is not None  # the next worker delivers it


@contextmanager
def dripping() -> Iterator[tuple[str, Event]]:
    """Serve responses byte by byte without end."""
    called, over = Event(), Event()

    def drip(line: socket.socket) -> None:
        with line, suppress(OSError):
            line.sendall(b"HTTP/1.1 200 OK\r\nX-Drip: ")
            called.set()
            while not over.wait(1):
                line.sendall(b"x")

    def accept(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                Thread(target=drip, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=accept, args=(listener,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", called
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.slow
def test_sigterm_ends_a_worker_whose_database_is_frozen() -> None:
    with temporary_server() as database:
        environment = {**os.environ, "DATABASE_URL": database}
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], env=environment, check=True)
        with (
            psycopg.connect(database, autocommit=True) as observer,
            frozen_later(database) as ice,
            worker_process(database) as process,
        ):
            wait_until(lambda: _succeeded(observer) >= 5)
            ice.freeze()
            time.sleep(11)  # the jobs run again within ten seconds

            process.send_signal(signal.SIGTERM)
            code = process.wait(timeout=20)

    assert code == 1


def _succeeded(observer: "psycopg.Connection[tuple[int]]") -> int:
    row = observer.execute("SELECT count(*) FROM credits.job_runs WHERE succeeded_at IS NOT NULL")
    return (row.fetchone() or (0,))[0]


class Ice:
    """Freezes and resumes all processes of a server."""

    def __init__(self, database: str) -> None:
        with psycopg.connect(database) as line:
            self.postmaster = psutil.Process(line.info.backend_pid).parent()
        self.frozen: list[psutil.Process] = []

    def freeze(self) -> None:
        assert self.postmaster
        self.frozen = [self.postmaster, *self.postmaster.children()]
        for process in self.frozen:
            with suppress(psutil.NoSuchProcess):  # a backend may have ended in the meantime
                process.suspend()

    def thaw(self) -> None:
        for process in self.frozen:
            with suppress(psutil.NoSuchProcess):
                process.resume()


@contextmanager
def frozen_later(database: str) -> Iterator[Ice]:
    ice = Ice(database)
    try:
        yield ice
    finally:
        ice.thaw()
