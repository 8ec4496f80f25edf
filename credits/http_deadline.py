"""HTTP calls to other services, with a deadline for the whole call and a limit on the answer.

The timeout of `requests` restarts with each read, so a server that sends one byte per second can
hold a thread indefinitely. Here every socket operation gets only the time left until the deadline.
"""

import io
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError

from credits import name_lookup

LARGEST_ANSWER = 4 * 1024 * 1024  # bytes
CHUNK = 64 * 1024
_deadline: ContextVar[float] = ContextVar("http_deadline", default=float("inf"))


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Set a deadline `seconds` from now for all calls in the block; an earlier outer one wins."""
    # A ContextVar, because the sockets are created deep inside urllib3, which passes only a
    # timeout.
    token = _deadline.set(min(_deadline.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _deadline.reset(token)


def session(seconds: float, *, pools: Mapping[str, type] | None = None) -> requests.Session:
    """Return a session whose calls each end within `seconds`, including connecting and reading.

    `pools` replaces the pools of the schemes, with connections that are subclasses of those here.

    A call raises requests.RequestException, also if the answer is larger than 4 MiB. The deadline
    covers the DNS lookup.
    """
    made = requests.Session()
    adapter = _DeadlineAdapter(seconds, pools or POOLS)
    made.mount("http://", adapter)
    made.mount("https://", adapter)
    return made


class _DeadlineAdapter(HTTPAdapter):
    """Reads the whole answer before the deadline."""

    def __init__(self, seconds: float, pools: Mapping[str, type]) -> None:
        self._seconds = seconds
        self._pools = pools
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **named)
        manager.pool_classes_by_scheme = self._pools
        return manager

    def send(
        self, request: requests.PreparedRequest, *arguments: Any, **named: Any
    ) -> requests.Response:
        with within(self._seconds):
            # Otherwise `requests` reads the body itself, without a limit on its size.
            named |= {"stream": True, "timeout": self._seconds}
            answer = super().send(request, *arguments, **named)
            try:
                body = _read(answer)
            finally:
                answer.close()
        answer.raw = io.BytesIO(body)  # `requests` reads the content from here
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
            # Counted after decompression: a small compressed answer could become very large.
            if len(body) > LARGEST_ANSWER:
                raise requests.exceptions.ContentDecodingError("The answer is too large")
    except (HTTPError, OSError) as error:
        raise requests.exceptions.ConnectionError(error) from error
    return bytes(body)


def _left() -> float | None:
    """Return the seconds until the deadline (None: no deadline); raise TimeoutError after it."""
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
    """A TLS socket whose operations end at the deadline.

    The handshake as a whole has one timeout, which `_limited` sets.
    """

    def recv_into(self, *arguments: Any) -> int:
        self.settimeout(_left())
        return super().recv_into(*arguments)

    def send(self, *arguments: Any) -> int:  # `sendall` of ssl.SSLSocket calls `send` per part
        self.settimeout(_left())
        return super().send(*arguments)


def _limited(opened: socket.socket) -> socket.socket:
    # Detached, because the original would close the descriptor when it is collected.
    made = _Socket(fileno=opened.detach())
    made.settimeout(_left())
    return made


def _connect_timeout() -> float | None:
    """Return half of the time left, because a host often has two addresses, tried in turn."""
    left = _left()
    return left and left / 2


class _ByAddress:
    """Resolves the host within the deadline and connects to the first address that answers.

    TLS verifies the name of the host as usual.
    """

    host: str
    port: int
    timeout: float | None

    def ip_addresses(self, host: str) -> list[str]:
        """Return the addresses to try. Raises OSError."""
        return name_lookup.ip_addresses(host, self.port, seconds=_left())

    def _new_conn(self) -> socket.socket:
        name = self.host
        failure: Exception | None = None
        try:
            for address in self._looked_up(name):
                # urllib3 would look the name up again, without the deadline.
                self.host = address
                try:
                    self.timeout = _connect_timeout()
                    return _limited(super()._new_conn())  # type: ignore[misc]
                except (HTTPError, OSError) as error:
                    failure = error
        finally:
            self.host = name
        raise failure or OSError(f"{name} has no address")

    def _looked_up(self, name: str) -> list[str]:
        try:
            return self.ip_addresses(name)
        except (OSError, UnicodeError) as error:
            raise NewConnectionError(self, f"{name}: {error}") from error  # type: ignore[arg-type]


class DeadlineConnection(_ByAddress, HTTPConnection):
    """A connection that ends at the deadline."""


class TLSConnection(_ByAddress, HTTPSConnection):
    """A TLS connection that ends at the deadline.

    Each has its own context: loading the certificates takes milliseconds, which plain HTTP saves.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **{**named, "ssl_context": _tls()})


class _Pool(HTTPConnectionPool):
    ConnectionCls = DeadlineConnection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = TLSConnection


POOLS = {"http": _Pool, "https": _TLSPool}
