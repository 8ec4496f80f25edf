"""HTTP calls to other services, with a deadline for the whole call and a bound on the answer.

A timeout of `requests` starts anew with each read, so a server that sends one byte a second holds
a thread for as long as it likes. Here every socket operation gets only the time that is left.
"""

import io
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

LARGEST_ANSWER = 4 * 1024 * 1024  # bytes
CHUNK = 64 * 1024
_deadline: ContextVar[float] = ContextVar("http_deadline", default=float("inf"))


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """End every call of the block `seconds` from now, or earlier by an outer deadline."""
    token = _deadline.set(min(_deadline.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _deadline.reset(token)


def session(seconds: float) -> requests.Session:
    """Return a session whose calls each end within `seconds`, connecting and reading included.

    A call raises requests.RequestException, also for an answer of more than 4 MiB. Only the time
    for the lookup of the host's name is the resolver's own.
    """
    made = requests.Session()
    adapter = _DeadlineAdapter(seconds)
    made.mount("http://", adapter)
    made.mount("https://", adapter)
    return made


class _DeadlineAdapter(HTTPAdapter):
    """Reads the whole answer before the deadline."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named, ssl_context=_tls())
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **named, ssl_context=_tls())
        manager.pool_classes_by_scheme = POOLS
        return manager

    def send(
        self, request: requests.PreparedRequest, *arguments: Any, **named: Any
    ) -> requests.Response:
        with within(self._seconds):
            named |= {"stream": True, "timeout": self._seconds}
            answer = super().send(request, *arguments, **named)
            try:
                body = _read(answer)
            finally:
                answer.close()
        answer.raw = io.BytesIO(body)
        return answer


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.sslsocket_class = _TLSSocket
    return context


def _read(answer: requests.Response) -> bytes:
    body = bytearray()
    try:
        for chunk in answer.raw.stream(CHUNK, decode_content=True):
            body += chunk
            if len(body) > LARGEST_ANSWER:
                raise requests.exceptions.ContentDecodingError("The answer is too large")
    except (HTTPError, OSError) as error:
        raise requests.exceptions.ConnectionError(error) from error
    return bytes(body)


def _left() -> float | None:
    """Return the seconds until the deadline; raise TimeoutError after it."""
    deadline = _deadline.get()
    if deadline == float("inf"):
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class _Socket(socket.socket):
    """A socket whose operations end at the deadline."""

    def recv_into(self, *arguments: Any) -> int:
        self.settimeout(_left())
        return super().recv_into(*arguments)

    def sendall(self, *arguments: Any) -> None:
        self.settimeout(_left())
        super().sendall(*arguments)


class _TLSSocket(ssl.SSLSocket):
    """The same under TLS; a handshake has one timeout for all of it, set by `_limited`."""

    def recv_into(self, *arguments: Any) -> int:
        self.settimeout(_left())
        return super().recv_into(*arguments)

    def send(self, *arguments: Any) -> int:  # `sendall` calls it for each part
        self.settimeout(_left())
        return super().send(*arguments)


def _limited(opened: socket.socket) -> socket.socket:
    made = _Socket(fileno=opened.detach())
    made.settimeout(_left())
    return made


def _connect_timeout() -> float | None:
    """Return half of the time that is left: a host often has two addresses, tried in turn."""
    left = _left()
    return left and left / 2


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        self.timeout = _connect_timeout()
        return _limited(super()._new_conn())


class _TLSConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        self.timeout = _connect_timeout()
        return _limited(super()._new_conn())


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


POOLS = {"http": _Pool, "https": _TLSPool}
