"""Clients that send half a request or do not read the response delay nobody."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress

import pytest
from django.db import transaction

from credits.models import Balance, Transaction
from tests import running
from tests.api import use
from tests.environment import SERVICE_KEY
from tests.factories import give
from tests.owner import as_owner
from tests.running import Service

pytestmark = pytest.mark.usefixtures("committed")
THREADS = 2
CLIENTS = 6  # more than the number of threads
USE = (
    b"POST /api/v1/internal/credits/use HTTP/1.1\r\nHost: localhost\r\n"
    b"X-Service-Key: " + SERVICE_KEY.encode() + b"\r\n"
)
PAGE = b"GET /credits HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def service(django_db_setup: None) -> Iterator[Service]:
    """Run a service of one worker with two threads, shared by tests that leave no state."""
    with running.service(WEB_CONCURRENCY="1", WEB_THREADS=str(THREADS)) as service:
        yield service


def open_line(stack: ExitStack, service: Service) -> socket.socket:
    return stack.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=30))


def spends(service: Service) -> bool:
    with closing(service.connect()) as line:
        return running.ask(line, "use", use(1, userId="alice"))[0] == 200


def status_of(line: socket.socket) -> int:
    """Read the start of a response. Return its status."""
    return int(line.recv(65536).split()[1])


HALVES = {
    "half a head": USE + b"X-Half: ",
    "half a line end": USE + b"\r",
    "half a body": USE + b'Content-Length: 100\r\n\r\n{"userId":',
    "half a chunk": USE + b'Transfer-Encoding: chunked\r\n\r\n40\r\n{"userId":',
    "half a chunk size": USE + b"Transfer-Encoding: chunked\r\n\r\n4",
    "half a trailer": USE + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Sum",
}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_clients_that_send_half_a_request_keep_nobody_waiting(
    service: Service, half: bytes
) -> None:
    give("alice", 10)
    with ExitStack() as stack:
        for _ in range(CLIENTS):
            open_line(stack, service).sendall(half)

        assert spends(service)

    assert Transaction.objects.filter(type="usage").count() == 1


def test_a_request_that_drips_is_answered_and_others_in_the_meantime(service: Service) -> None:
    give("alice", 10)
    body = json.dumps(use(2, userId="alice")).encode()
    request = USE + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with ExitStack() as stack:
        lines = [open_line(stack, service) for _ in range(CLIENTS)]
        for index in range(0, len(request), 40):
            for line in lines[:2]:
                line.sendall(request[index : index + 40])
            assert spends(service) or index > 160
            time.sleep(0.05)

        assert [status_of(line) for line in lines[:2]] == [200, 200]


@pytest.mark.slow
def test_half_a_request_is_answered_with_408_after_its_time() -> None:
    with (
        running.service(WEB_CONCURRENCY="1", WEB_THREADS="1") as service,
        ExitStack() as stack,
    ):
        head, body = open_line(stack, service), open_line(stack, service)
        began = time.monotonic()
        head.sendall(USE)
        body.sendall(USE + b"Content-Length: 100\r\n\r\n{")
        threading.Timer(6, lambda: head.sendall(b"X-Still: here\r\n")).start()

        answer = head.recv(65536)
        waited = time.monotonic() - began
        after_body = body.recv(65536)
        waited_for_body = time.monotonic() - began

    for one in (answer, after_body):
        assert one.startswith(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n")
        assert json.loads(one.partition(b"\r\n\r\n")[2])["code"] == "request_timeout"
    assert waited >= 10
    assert waited_for_body >= 20


def test_clients_that_read_nothing_keep_nobody_waiting(service: Service) -> None:
    """They are answered until the kernel's buffers are full."""
    give("alice", 10)
    with ExitStack() as stack:
        for _ in range(CLIENTS):
            line = open_line(stack, service)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.settimeout(0.5)
            with suppress(TimeoutError):
                line.sendall(PAGE * 300)

        assert spends(service)


@pytest.mark.parametrize("sent", [b"", USE])
@pytest.mark.slow
def test_clients_that_ask_for_nothing_make_room_where_places_are_short(sent: bytes) -> None:
    limit = "--worker-connections 4"
    with (
        running.service(WEB_CONCURRENCY="1", WEB_THREADS="1", GUNICORN_CMD_ARGS=limit) as service,
        ExitStack() as stack,
    ):
        kept = stack.enter_context(closing(service.connect()))
        assert running.fetch(kept, "GET", "/health", None, {})[0] == 200
        for _ in range(4):
            open_line(stack, service).sendall(sent)

        line = stack.enter_context(closing(service.connect()))
        assert running.fetch(line, "GET", "/health", None, {})[0] == 200
        assert running.fetch(kept, "GET", "/health", None, {})[0] == 200


@pytest.mark.slow
def test_answered_clients_that_stay_idle_make_room_where_places_are_short() -> None:
    """A neighbour that leaks connections must not keep everybody out until keep-alive ends."""
    limit = "--worker-connections 4"
    with (
        running.service(WEB_CONCURRENCY="1", WEB_THREADS="1", GUNICORN_CMD_ARGS=limit) as service,
        ExitStack() as stack,
    ):
        idle = [stack.enter_context(closing(service.connect())) for _ in range(4)]
        for line in idle:
            assert running.fetch(line, "GET", "/health", None, {})[0] == 200

        line = stack.enter_context(closing(service.connect()))
        assert running.fetch(line, "GET", "/health", None, {})[0] == 200
        assert idle[0].sock.recv(1) == b""


@pytest.mark.slow
def test_an_answer_that_is_read_late_is_whole(service: Service) -> None:
    with ExitStack() as stack:
        line = open_line(stack, service)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.sendall(b"GET /api/schema HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        time.sleep(1.5)
        answer = b"".join(iter(lambda: line.recv(4096), b""))

    head, _, body = answer.partition(b"\r\n\r\n")
    [length] = [line for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")]
    assert len(body) == int(length.split()[1]) > 100_000


def test_a_client_that_asks_ahead_takes_turns_with_others(service: Service) -> None:
    """Each response ends the turn: few of 30 pipelined requests precede another client's."""
    for name in ("alice", "bob", "carol"):
        give(name, 100)
    with ExitStack() as stack, ThreadPoolExecutor(THREADS) as pool:
        ahead, other = open_line(stack, service), open_line(stack, service)
        with transaction.atomic():
            with as_owner():
                Balance.objects.select_for_update().get(pk="alice")
            waiting = [pool.submit(spends, service) for _ in range(THREADS)]
            running.wait_for_lock_waiters(THREADS)
            ahead.sendall(spend_of("carol") * 30)
            time.sleep(0.3)
            other.sendall(spend_of("bob"))
            time.sleep(0.3)
        assert all(one.result() for one in waiting)
        assert status_of(other) == 200
        answers = 0
        while answers < 30:
            answers += ahead.recv(65536).count(b"HTTP/1.1 200 OK")

    usages = Transaction.objects.filter(type="usage")
    of_bob = usages.get(user_id="bob")
    assert usages.filter(user_id="carol").count() == 30
    assert usages.filter(user_id="carol", created_at__lt=of_bob.created_at).count() < 10


def spend_of(user_id: str) -> bytes:
    """Return the bytes of a complete request."""
    body = json.dumps(use(1, userId=user_id)).encode()
    return USE + b"Content-Length: %d\r\n\r\n" % len(body) + body


def test_health_is_answered_while_every_thread_waits_for_the_database(service: Service) -> None:
    give("alice", 10)
    give("bob", 10)
    headers = {"Origin": "http://localhost:5173", "X-Request-Id": "probe-1"}
    with ExitStack() as stack, ThreadPoolExecutor(CLIENTS) as pool:
        with transaction.atomic():
            with as_owner():
                Balance.objects.select_for_update().get(pk="alice")
            waiting = [pool.submit(spends, service) for _ in range(CLIENTS)]
            running.wait_for_lock_waiters(THREADS)

            line = stack.enter_context(closing(service.connect()))
            answers = [running.fetch(line, "GET", "/health", None, headers) for _ in range(5)]
            assert not any(one.done() for one in waiting)
        assert all(one.result() for one in waiting)

    for status, answered, body in answers:
        assert (status, json.loads(body)["status"]) == (200, "ok")
        assert (answered["X-Request-Id"], answered["Connection"]) == ("probe-1", "keep-alive")
        assert answered["X-Content-Type-Options"] == "nosniff"
    assert Balance.objects.get(pk="alice").posted == 10 - CLIENTS


def test_a_client_that_gave_up_before_its_turn_spends_nothing(service: Service) -> None:
    give("alice", 10)
    give("bob", 10)
    body = json.dumps(use(1, userId="bob")).encode()
    with ExitStack() as stack, ThreadPoolExecutor(THREADS) as pool:
        with transaction.atomic():
            with as_owner():
                Balance.objects.select_for_update().get(pk="alice")
            waiting = [pool.submit(spends, service) for _ in range(THREADS)]
            running.wait_for_lock_waiters(THREADS)

            gone, stays = open_line(stack, service), open_line(stack, service)
            for line in (gone, stays):
                line.sendall(USE + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            time.sleep(0.2)
            gone.close()
            time.sleep(1.2)
        assert all(one.result() for one in waiting)
        assert status_of(stays) == 200

    assert Balance.objects.get(pk="bob").posted == 9
