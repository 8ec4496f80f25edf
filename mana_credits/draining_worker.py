"""gunicorn's master and threaded worker, made to answer everybody who reached them."""

import json
import socket
import sys
import time
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from selectors import EVENT_READ
from typing import Any

from gunicorn.http.errors import ExpectationFailed, LimitRequestHeaders, ParseException
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

REFUSAL = (
    "HTTP/1.1 {0.value} {0.phrase}\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\n"
    "Content-Type: application/json\r\nContent-Length: {1}\r\n\r\n{2}"
)
LINGER_SECONDS = 2
WAKE_SECONDS = 0.2

# A socket's least time to live of a packet, below which the kernel drops it (linux/in.h, in6.h);
# those of neighbours only may have the most (RFC 5082), and hosts start with 64 or 128.
IP_MINTTL = 21
IPV6_MINHOPCOUNT = 73
ALL_PACKETS, NO_PACKETS = 0, 255
HANDSHAKE_SECONDS = 0.05


def refuse_newcomers(listeners: Iterable[socket.socket]) -> None:
    """Open no further connection to `listeners`; those that are being opened still are.

    Closing a listening socket resets the connections that nobody has accepted yet, and between the
    last `accept` and `close` the kernel goes on opening some. So it is told to stop first, which
    Linux can. A client who asks in the meantime hears nothing, asks again after a second and is
    refused then, or reaches another replica.
    """
    for listener in listeners:
        hear(listener, NO_PACKETS)
    time.sleep(HANDSHAKE_SECONDS)


def hear(line: socket.socket, least: int) -> None:
    """Let the kernel take packets of at least this time to live; connections inherit it."""
    if sys.platform == "linux" and line.family in {socket.AF_INET, socket.AF_INET6}:
        line.setsockopt(socket.IPPROTO_IP, IP_MINTTL, least)
        if line.family == socket.AF_INET6:
            line.setsockopt(socket.IPPROTO_IPV6, IPV6_MINHOPCOUNT, least)


class DrainingWorker(ThreadWorker):  # type: ignore[misc]
    """Loses no request when it stops.

    The base class leaves the listening socket open while it finishes, so that the kernel goes on
    taking connections which are reset in the end; and it closes connections whose clients it had
    just promised to keep them, and who may have sent their next request. Here the waiting
    connections are taken and the socket is closed at once (later clients are refused and turn to
    another replica), and a kept connection is closed only after it was idle for a moment, its
    next answer saying `Connection: close`.
    """

    def set_accept_enabled(self, enabled: bool) -> None:
        """Start or stop taking connections; when the worker stops, for good."""
        super().set_accept_enabled(enabled)
        if not self.alive:
            for listener in self.sockets:
                self._take_waiting(listener)
                listener.close()
            for conn in self.keepalived_conns:
                conn.timeout = time.monotonic() + LINGER_SECONDS

    def handle(self, conn: Any) -> Any:
        """Handle a connection's request; it may have been opened while there were to be no more."""
        if not conn.initialized:
            hear(conn.sock, ALL_PACKETS)
        return super().handle(conn)

    def finish_request(self, conn: Any, fs: "Future[Any]") -> None:
        """Let a kept connection linger although the worker stops."""
        if not self.alive and not fs.cancelled() and not fs.exception() and fs.result() is True:
            conn.sock.setblocking(False)
            conn.timeout = time.monotonic() + LINGER_SECONDS
            self.keepalived_conns.append(conn)
            ready = partial(self.on_client_socket_readable, conn)
            self.poller.register(conn.sock, EVENT_READ, ready)
        else:
            super().finish_request(conn, fs)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wake up often enough to close idle connections while the worker stops."""
        super().wait_for_and_dispatch_events(timeout if self.alive else min(timeout, WAKE_SECONDS))

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer what is no request in the API's envelope, as the base class does in HTML.

        Neither the answer nor the log quotes it: it may hold a token or a gift's code.
        """
        status, text, code = _refusal(exc)
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            self.log.warning("Refused what is no request: %s", type(exc).__name__)
        else:
            self.log.error("Error handling request", exc_info=exc)
        body = json.dumps({"statusCode": status, "message": text, "code": code})
        with suppress(OSError):
            write_nonblock(client, REFUSAL.format(HTTPStatus(status), len(body), body).encode())

    def _take_waiting(self, listener: Any) -> None:
        before = None
        while before != self.nr_conns:
            before = self.nr_conns
            self.accept(listener)


def _refusal(error: Exception) -> tuple[int, str, str]:
    """Return the status, message and code for what could not be read."""
    match error:
        case LimitRequestHeaders():
            return 431, "The headers are too large", "headers_too_large"
        case ExpectationFailed():
            return 417, "Expectation failed", "expectation_failed"
        case ParseException():
            return 400, "Bad request", "bad_request"
    return 500, "Internal server error", "internal_error"
