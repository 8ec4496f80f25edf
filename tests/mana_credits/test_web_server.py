"""Responses and logs of the web server itself, before the application."""

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest

from credits.models import Transaction
from mana_credits.listeners import ALL_PACKETS, hear, refuse_newcomers
from tests import running
from tests.api import use
from tests.factories import give
from tests.running import Service

pytestmark = pytest.mark.usefixtures("committed")
PLANTED = "planted-secret"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of the log of `plain`."""
    return tmp_path_factory.mktemp("web-server") / "log"


@pytest.fixture(scope="module")
def plain(django_db_setup: None, log: Path) -> Iterator[Service]:
    """Run a service of one worker with two threads, shared by tests that leave no state."""
    with running.service(
        log=log, LOG_LEVEL="INFO", WEB_CONCURRENCY="1", WEB_THREADS="2"
    ) as service:
        yield service


def send(port: int, request: bytes) -> tuple[int, dict[str, str], dict[str, object]]:
    """Send bytes. Return the status, the headers and the JSON of the response."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(request)
        answer = b""
        while chunk := line.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    headers = dict(one.split(": ", 1) for one in rest)
    return int(first.split()[1]), headers, json.loads(body)


def test_a_socket_that_is_to_be_closed_opens_no_connection_and_keeps_those_it_has() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        before = socket.create_connection(listener.getsockname(), timeout=5)
        refuse_newcomers([listener])
        with pytest.raises(TimeoutError):
            socket.create_connection(listener.getsockname(), timeout=0.3)

        taken, _ = listener.accept()
        with before, taken:
            before.sendall(b"asked before")
            assert taken.recv(100) == b"asked before"
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.accept()


def test_a_connection_that_was_just_being_opened_is_heard() -> None:
    """On loopback no handshake stays half open. A connection with the maximum TTL replaces one."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        refuse_newcomers([listener])
        client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
        client.connect(listener.getsockname())
        client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 64)
        taken, _ = listener.accept()
        with taken:
            taken.settimeout(0.1)
            client.sendall(b"asked")
            with pytest.raises(TimeoutError):
                taken.recv(100)

            hear(taken, ALL_PACKETS)

            taken.settimeout(10)
            assert taken.recv(100) == b"asked"


GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
REFUSED = [
    (b"GET /" + PLANTED.encode() + b"x" * 5000 + b" HTTP/1.1\r\n\r\n", 400, "bad_request"),
    (PLANTED.encode() + b"\r\n\r\n", 400, "bad_request"),
    (GET + b"X " + PLANTED.encode() + b": 1\r\n\r\n", 400, "bad_request"),
    (GET + b"X: " + b"x" * 9000 + PLANTED.encode() + b"\r\n\r\n", 431, "headers_too_large"),
    (GET + b"".join(b"X-%d: x\r\n" % n for n in range(60)) + b"\r\n", 431, "headers_too_large"),
    (GET + b"Idempotency-Key: k1\r\nIdempotency-Key: k2\r\n\r\n", 400, "bad_request"),
    (GET + b"X-App-Id: chat\r\nX-App-Id: chat\r\n\r\n", 400, "bad_request"),
    (GET + b"Host: " + PLANTED.encode() + b"\r\n\r\n", 400, "bad_request"),
    (GET.replace(b"/health", "/g/é".encode()) + b"\r\n", 400, "bad_request"),
    (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_request"),
    (b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_request"),
    (GET + b"Expect: " + PLANTED.encode() + b"\r\n\r\n", 417, "expectation_failed"),
]


def test_a_malformed_request_gets_a_json_error_and_is_quoted_nowhere(
    plain: Service, log: Path
) -> None:
    answers = [send(plain.port, request) for request, _, _ in REFUSED]
    good = send(plain.port, GET + b"\r\n")

    assert [(status, body["code"]) for status, _, body in answers] == [
        (status, code) for _, status, code in REFUSED
    ]
    for status, headers, body in answers:
        assert (body["statusCode"], headers["Content-Type"]) == (status, "application/json")
        assert (headers["Connection"], headers["X-Content-Type-Options"]) == ("close", "nosniff")
        details = {"details"} if status == 400 else set()
        assert set(body) == {"statusCode", "message", "code"} | details
        assert PLANTED not in json.dumps(body)
    assert good[0] == 200
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    refusals = [
        one for one in lines if one["event"].startswith("Refused a malformed or late request")
    ]
    assert len(refusals) == len(REFUSED)
    assert {one["logger"] for one in refusals} == {"gunicorn.error"}
    assert PLANTED not in log.read_text()


def test_head_has_no_body_and_writes_no_warning(plain: Service, log: Path) -> None:
    request = (GET + b"\r\n").replace(b"GET", b"HEAD")
    with socket.create_connection(("127.0.0.1", plain.port), timeout=5) as line:
        line.sendall(request)
        answer = b"".join(iter(lambda: line.recv(1000), b""))

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"\r\n\r\n")
    assert "no-body response" not in log.read_text()


@pytest.mark.parametrize("header", [b"SCRIPT_NAME: /x", b"PATH_INFO: /health", b"Script-Name: /x"])
def test_no_header_changes_the_path(plain: Service, header: bytes) -> None:
    """A proxy that hides a path, such as `/metrics`, sees only the path of the request line."""
    request = GET.replace(b"/health", b"/x/health") + header + b"\r\n\r\n"

    assert send(plain.port, request)[0] == 404


def test_an_event_that_is_too_large_is_refused_as_such(plain: Service) -> None:
    """Its bytes are not read, so that its signature could only be called invalid."""
    head = b"POST /api/v1/webhooks/stripe HTTP/1.1\r\nHost: localhost\r\n"

    status, headers, body = send(plain.port, head + b"Content-Length: 9000000\r\n\r\n")

    assert (status, body["code"]) == (413, "body_too_large")
    assert headers["Connection"] == "close"


def test_every_server_header_is_one_that_says_nothing_of_versions(plain: Service) -> None:
    _, headers, _ = send(plain.port, GET + b"\r\n")

    assert headers.get("Server", "") in {"", "gunicorn"}


@pytest.mark.slow
def test_a_new_master_on_the_same_socket_takes_over_without_a_failed_request() -> None:
    give("alice", 100_000)
    over = threading.Event()
    with (
        running.service(WEB_CONCURRENCY="2") as service,
        ThreadPoolExecutor(4) as pool,
        ExitStack() as at_the_end,
    ):
        at_the_end.callback(over.set)  # the clients stop even if no new master starts
        clients = [pool.submit(spend, service, over) for _ in range(4)]
        service.process.send_signal(signal.SIGUSR2)
        new = wait_for_new_master(service)
        try:
            time.sleep(0.5)
            ended = service.stop()
            answered_by_the_new_one = spend_for(service, seconds=0.5)
            over.set()
            counted = [client.result() for client in clients]
        finally:
            over.set()
            new.terminate()
            new.wait(timeout=30)

    assert ended == 0
    assert answered_by_the_new_one > 0
    spent = Transaction.objects.filter(type="usage").count()
    assert spent == sum(counted) + answered_by_the_new_one


def wait_for_new_master(service: Service) -> psutil.Process:
    """Return the successor of the old master once it has two workers."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for child in service.workers():
            if len(child.children()) == 2:
                return child
        time.sleep(0.05)
    raise AssertionError("there is no new master")


def spend(service: Service, over: threading.Event) -> int:
    """Spend until `over` is set. Every response must be 200. Return their number."""
    answered = 0
    while not over.is_set():
        with closing(service.connect()) as line:
            closes = False
            while not closes and not over.is_set():
                status, _, closes = running.ask(line, "use", use(1, userId="alice"))
                assert status == 200
                answered += 1
                time.sleep(0.01)  # leaves CPU time to starting processes
    return answered


def spend_for(service: Service, *, seconds: float) -> int:
    over = threading.Event()
    threading.Timer(seconds, over.set).start()
    return spend(service, over)


@pytest.mark.slow
def test_connections_opened_at_once_are_shared_by_the_workers() -> None:
    """Before, one worker accepted all of them, and the other cores were idle."""
    with running.service(WEB_CONCURRENCY="2") as service:
        service.wait_for_workers(2)
        shares = [share_of_the_second(service) for _ in range(5)]

    assert sum(shares) / len(shares) > 0.25


def share_of_the_second(service: Service) -> float:
    """Open 16 connections at once. Return the share of the worker with fewer."""
    with ExitStack() as stack, ThreadPoolExecutor(16) as pool:
        lines = [stack.enter_context(closing(service.connect())) for _ in range(16)]
        for line in lines:
            line.connect()
        list(pool.map(healthy, lines))
        return min(connections(service)) / len(lines)


def connections(service: Service) -> list[int]:
    """Return the number of connections per worker."""
    return [
        sum(one.status == psutil.CONN_ESTABLISHED for one in worker.net_connections("tcp4"))
        for worker in service.workers()
    ]


def healthy(line: HTTPConnection) -> bool:
    line.request("GET", "/health")
    answer = line.getresponse()
    answer.read()
    return answer.status == 200


def test_requests_sent_before_the_first_is_answered_are_answered_in_turn(plain: Service) -> None:
    asked = GET.replace(b"Connection: close\r\n", b"") + b"\r\n"
    with socket.create_connection(("127.0.0.1", plain.port), timeout=10) as line:
        line.sendall(asked * 3 + GET + b"\r\n")
        answers = b"".join(iter(lambda: line.recv(65536), b""))

    assert answers.count(b"HTTP/1.1 200 OK") == 4


def test_connections_that_ask_for_nothing_keep_no_thread(plain: Service) -> None:
    with ExitStack() as stack:
        began = time.monotonic()
        for number in range(10):
            line = stack.enter_context(closing(plain.connect()))
            line.connect()
            if number % 2:
                assert healthy(line)

        assert healthy(stack.enter_context(closing(plain.connect())))

        assert time.monotonic() - began < 4  # gunicorn's own worker waits 5 s for each


@pytest.mark.slow
def test_a_worker_has_so_many_connections_at_most_and_takes_the_next_when_one_ends() -> None:
    limit = "--worker-connections 3"
    with (
        running.service(WEB_CONCURRENCY="1", WEB_THREADS="2", GUNICORN_CMD_ARGS=limit) as service,
        ExitStack() as stack,
        ThreadPoolExecutor(1) as pool,
    ):
        first, *others = [stack.enter_context(closing(service.connect())) for _ in range(3)]
        assert all(healthy(line) for line in (first, *others))

        fourth = pool.submit(healthy, stack.enter_context(closing(service.connect())))
        with pytest.raises(TimeoutError):
            fourth.result(timeout=1)
        first.close()

        assert fourth.result(timeout=10)
        assert all(healthy(line) for line in others)


@pytest.mark.slow
def test_an_idle_connection_is_closed_and_one_in_use_is_not() -> None:
    with (
        running.service(WEB_CONCURRENCY="1", GUNICORN_CMD_ARGS="--keep-alive 1") as service,
        closing(service.connect()) as idle,
        closing(service.connect()) as used,
    ):
        assert healthy(idle)
        for _ in range(8):
            assert healthy(used)
            time.sleep(0.25)

        idle.sock.settimeout(5)
        assert idle.sock.recv(1) == b""


@pytest.mark.slow
def test_a_renewed_worker_loses_no_request() -> None:
    give("alice", 100_000)
    with (
        running.service(WEB_CONCURRENCY="1", WEB_MAX_REQUESTS="10") as service,
        ThreadPoolExecutor(4) as pool,
    ):
        [first] = service.workers()
        counted = sum(pool.map(lambda _: spend_for(service, seconds=2), range(4)))
        workers = service.workers()

    assert first not in workers
    assert Transaction.objects.filter(type="usage").count() == counted > 20
