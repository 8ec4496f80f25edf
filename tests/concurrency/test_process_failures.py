"""Stopping the service or killing one of its processes during its work."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import psutil
import psycopg
import pytest
from django.db import transaction

from credits.models import Balance, Transaction
from mana_credits.dev import database_roles
from mana_credits.dev.embedded_postgres import temporary_server, wait_until_ended
from tests import running
from tests.api import use
from tests.factories import give
from tests.owner import as_owner
from tests.running import Service

pytestmark = pytest.mark.usefixtures("committed")
CLIENTS = 16


class Client:
    """A service that spends with a new key each time and retries until it is answered."""

    def __init__(self, service: Service, name: str) -> None:
        self.service = service
        self.user_id = f"{name}-user"
        self.answered: list[str] = []
        self.lost = 0
        self.refused = 0

    def spend_until(self, done: Callable[[], bool]) -> None:
        """Spend 1 credit at a time. Retry a request without a response."""
        with closing(self.service.connect()) as line:
            while not done():
                key = f"key-{len(self.answered)}"
                body = use(1, userId=self.user_id, idempotencyKey=key)
                try:
                    status, answer, closes = running.ask(line, "use", body)
                except (OSError, http.client.HTTPException):
                    self.lost += 1
                    line.close()
                    time.sleep(0.05)
                    continue
                if status == 200:
                    self.answered.append(answer["transaction"]["id"])
                else:
                    assert status == 503, answer
                    self.refused += 1
                    time.sleep(0.05)
                if closes:
                    line.close()
                time.sleep(0.005)  # leaves CPU time to starting processes


def load(service: Service, disturb: Callable[[], None], *, seconds: float = 1) -> list[Client]:
    """Run clients that spend, disturb the service, and return their results."""
    clients = [Client(service, f"client-{index}") for index in range(CLIENTS)]
    with closing(service.connect()) as line:
        for client in clients:
            grant = {"userId": client.user_id, "amount": 100_000, "reason": "t", "referenceId": "t"}
            running.ask(line, "grant", grant)
    over = threading.Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        runs = [pool.submit(client.spend_until, over.is_set) for client in clients]
        time.sleep(0.7)
        disturb()
        time.sleep(seconds)
        over.set()
        for run in runs:
            run.result()
    return clients


def assert_nothing_lost_or_doubled(clients: list[Client], database: str = "") -> None:
    """Check that each answered spend is in the ledger once.

    The last spend of each client may be there without an answer.
    """
    with psycopg.connect(database or running.database_of_the_test()) as ledger:
        for client in clients:
            rows = ledger.execute(
                "SELECT id::text FROM credits.transactions WHERE user_id = %s AND type = 'usage'",
                [client.user_id],
            )
            spends = {row[0] for row in rows}
            assert len(set(client.answered)) == len(client.answered) > 0
            assert set(client.answered) <= spends
            assert len(spends) - len(client.answered) <= 1


@pytest.mark.slow
def test_a_worker_killed_under_load_loses_and_doubles_nothing() -> None:
    with running.service(WEB_CONCURRENCY="2") as service:

        def disturb() -> None:
            service.workers()[0].send_signal(signal.SIGKILL)

        clients = load(service, disturb)

    assert_nothing_lost_or_doubled(clients)
    assert sum(client.lost for client in clients) > 0


@pytest.mark.slow
def test_a_killed_backend_of_postgresql_loses_and_doubles_nothing() -> None:
    """After kill -9 of one backend, PostgreSQL restarts all, so it needs its own server."""
    with temporary_server() as database:
        environment = {**os.environ, **database_roles.environment(database)}
        manage = [sys.executable, "manage.py"]
        subprocess.run([*manage, "migrate", "-v0"], env=environment, check=True)
        with running.service(database, WEB_CONCURRENCY="2") as service:

            def disturb() -> None:
                with psycopg.connect(database) as observer:
                    backends = observer.execute(
                        "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                        "AND query LIKE '%post_transaction%'"
                    ).fetchall()
                os.kill(backends[0][0], signal.SIGKILL)

            clients = load(service, disturb, seconds=3)

        assert_nothing_lost_or_doubled(clients, database)
        check = subprocess.run(
            [*manage, "check_ledger"], env=environment, check=False, capture_output=True, text=True
        )

    assert sum(client.refused for client in clients) > 0
    assert (check.returncode, check.stdout) == (0, "16 users checked.\nThe books close.\n")


@pytest.mark.slow
def test_workers_of_a_killed_master_free_its_address_and_answer_what_is_open() -> None:
    """Before, they accepted for half a minute, and the next master could not bind the address."""
    give("alice", 100)
    with (
        running.service(WEB_CONCURRENCY="2", DATABASE_LOCK_TIMEOUT="14s") as service,
        ExitStack() as stack,
    ):
        workers = service.workers()
        line = stack.enter_context(closing(service.connect()))
        pool = stack.enter_context(ThreadPoolExecutor(1))
        with transaction.atomic():
            with as_owner():
                Balance.objects.select_for_update().get(pk="alice")
            asked = pool.submit(running.ask, line, "use", use(1, userId="alice"))
            running.wait_for_lock_waiters(1)

            service.process.kill()
            service.process.wait()
            _wait_until_free(service.port)

            assert not asked.done()
        status, _, closes = asked.result()
        _, alive = psutil.wait_procs(workers, timeout=20)

    assert (status, closes) == (200, True)
    assert alive == []
    assert Balance.objects.get(pk="alice").posted == 99


@pytest.mark.slow
def test_slow_clients_of_a_killed_master_keep_no_worker() -> None:
    """A supervisor may start the next master only after all processes have ended."""
    head = b"POST /api/v1/internal/credits/use HTTP/1.1\r\nHost: localhost\r\n"
    body = head + b"Content-Length: 100\r\n\r\n{"
    with running.service(WEB_CONCURRENCY="1", WEB_THREADS="2") as service, ExitStack() as stack:
        workers = service.workers()
        for half in (head, body):
            line = socket.create_connection(("127.0.0.1", service.port), timeout=20)
            stack.enter_context(line).sendall(half)
        time.sleep(0.5)

        service.process.kill()
        service.process.wait()
        left = wait_until_ended(workers, seconds=8)

    assert left == []


def _wait_until_free(port: int) -> None:
    """Wait until another process can listen there; gunicorn tries for five seconds."""
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            assert time.monotonic() < deadline, "the address is in use"
            time.sleep(0.05)
        else:
            return


@pytest.mark.slow
def test_sigterm_answers_every_open_request() -> None:
    """The earlier service dropped all open requests."""
    give("alice", 100)
    with running.service(WEB_CONCURRENCY="1", WEB_THREADS="8") as service, ExitStack() as stack:
        lines = [stack.enter_context(closing(service.connect())) for _ in range(6)]
        pool = stack.enter_context(ThreadPoolExecutor(len(lines)))
        with transaction.atomic():
            with as_owner():
                Balance.objects.select_for_update().get(pk="alice")
            asked = [
                pool.submit(running.ask, line, "use", use(1, userId="alice")) for line in lines
            ]
            running.wait_for_lock_waiters(len(lines))

            service.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
        statuses = [one.result()[0] for one in asked]
        assert service.process.wait(timeout=20) == 0

    assert statuses == [200] * 6
    assert Balance.objects.get(pk="alice").posted == 94


@pytest.mark.slow
def test_sigterm_under_load_loses_no_request() -> None:
    """The clients keep connections alive and reopen them continuously."""
    with running.service(WEB_CONCURRENCY="2") as service:

        def spend(client: Client) -> None:
            with closing(service.connect()) as line:
                while _connects(line):
                    closes = False
                    while not closes:
                        body = use(1, userId=client.user_id)
                        status, answer, closes = running.ask(line, "use", body)
                        assert status == 200
                        client.answered.append(answer["transaction"]["id"])
                    line.close()

        clients = [Client(service, f"client-{index}") for index in range(CLIENTS)]
        for client in clients:
            give(client.user_id, 100_000)
        with ThreadPoolExecutor(CLIENTS) as pool:
            runs = [pool.submit(spend, client) for client in clients]
            time.sleep(0.7)
            service.process.send_signal(signal.SIGTERM)
            for run in runs:
                run.result()
        assert service.process.wait(timeout=20) == 0

    assert_nothing_lost_or_doubled(clients)
    assert Transaction.objects.filter(type="usage").count() == sum(
        len(client.answered) for client in clients
    )


def _connects(line: http.client.HTTPConnection) -> bool:
    try:
        line.connect()
    except ConnectionRefusedError:
        return False
    return True
