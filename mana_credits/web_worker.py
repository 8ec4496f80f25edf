"""gunicorn's threaded worker, whose threads wait for requests themselves and lose none."""

import errno
import json
import math
import select
import socket
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from gunicorn.http.errors import ExpectationFailed, LimitRequestHeaders, ParseException
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import TConn, ThreadWorker

from mana_credits.listeners import ALL_PACKETS, hear

REFUSAL = (
    "HTTP/1.1 {0.value} {0.phrase}\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\n"
    "Content-Type: application/json\r\nContent-Length: {1}\r\n\r\n{2}"
)
# Who took a connection leaves the next one, for so long, to the other workers.
YIELD_SECONDS = 0.0003
LINGER_SECONDS = 2
WAKE_SECONDS = 0.2
RECOVER_SECONDS = 1
NOBODY = {errno.EAGAIN, errno.ECONNABORTED, errno.EBADF}  # the last: closed, the worker stops
ONCE = select.EPOLLIN | select.EPOLLONESHOT


class WebWorker(ThreadWorker):  # type: ignore[misc]
    """Answers each connection's requests in turn, and everybody who reached it when it stops.

    The base class waits for all connections in its main thread, hands every request to another and
    takes the connection back afterwards. Here all threads wait at one epoll, which reports a
    connection to one of them, once (ADR 4). The main thread keeps what the base class does beside:
    the sign of life, idle connections, and the end.

    At the end the base class leaves the listening socket open while it finishes, so that the kernel
    goes on taking connections which are reset then; and it closes connections whose clients it had
    just promised to keep them, and who may have sent their next request. Here the waiting
    connections are taken and the socket is closed at once (later clients are refused and turn to
    another replica), and a kept connection is closed only after it was idle for a moment, its
    next answer saying `Connection: close` (ADR 3).
    """

    def run(self) -> None:
        """Serve until told to stop, and to the last request."""
        self.events = select.epoll()
        self.listeners = {listener.fileno(): listener for listener in self.sockets}
        self.idle: dict[int, TConn] = {}
        self.changing = threading.Lock()  # of `idle` and `nr_conns`
        self.stopped = math.inf
        for listener in self.sockets:
            listener.setblocking(False)
            self.events.register(listener, 0)
        for _ in range(self.cfg.threads):
            threading.Thread(target=self._serve, daemon=True).start()
        super().run()

    def set_accept_enabled(self, enabled: bool) -> None:
        """Start or stop taking connections; when the worker stops, for good."""
        self._accepting = enabled
        if enabled:
            for listener in self.sockets:
                self.events.modify(listener, ONCE)
        elif not self.alive:
            self.stopped = time.monotonic()
            self.listeners.clear()
            for listener in self.sockets:
                while self._take(listener):
                    pass
                with self.changing:
                    listener.close()

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wake up often enough to see that the worker stops, or that nobody is left."""
        super().wait_for_and_dispatch_events(min(timeout, WAKE_SECONDS))

    def murder_keepalived(self) -> None:
        """Close the connections that were idle for too long."""
        now = time.monotonic()
        with self.changing:
            expired = [fd for fd, conn in self.idle.items() if self._end(conn) < now]
            connections = [self.idle.pop(fd) for fd in expired]
        for conn in connections:
            conn.close()
            self._forget()

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

    def _serve(self) -> None:
        """Take connections and answer requests, one after the other, for the thread's whole life.

        What is idle is reported once and belongs to this thread then, until it is watched again.
        """
        while True:
            for fd, _ in self.events.poll(maxevents=1):
                try:
                    if listener := self.listeners.get(fd):
                        self._accept(listener)
                    else:
                        self._answer(fd)
                except Exception:
                    self.log.exception("Error in a thread of the worker")
                    time.sleep(RECOVER_SECONDS)

    def _accept(self, listener: socket.socket) -> None:
        """Take a connection, and let the other workers have the next one."""
        try:
            if self._take(listener):
                time.sleep(YIELD_SECONDS)
        finally:
            if self.nr_conns < self.worker_connections:
                with suppress(ValueError):  # it is closed when the worker stops
                    self.events.modify(listener, ONCE)
            else:
                self._accepting = False  # until the main thread finds that there is room

    def _take(self, listener: socket.socket) -> bool:
        """Take a connection that waits; tell whether there was one.

        It is counted before anybody else can look: the worker ends when it counts none.
        """
        try:
            with self.changing:
                line, client = listener.accept()
                self.nr_conns += 1
        except OSError as error:
            if error.errno in NOBODY:
                return False
            raise
        try:
            hear(line, ALL_PACKETS)  # it may have been opened while there were to be no more
            conn = TConn(self.cfg, line, client, line.getsockname())
            conn.data_ready = True
            self.events.register(line, 0)
            self._watch(conn)
        except OSError:
            line.close()
            self._forget()
            raise
        return True

    def _watch(self, conn: TConn) -> None:
        """Wait for the connection's next request."""
        conn.set_timeout()
        fd = conn.sock.fileno()
        with self.changing:
            self.idle[fd] = conn
        self.events.modify(fd, ONCE)

    def _answer(self, fd: int) -> None:
        """Answer what was asked, if the main thread has not just closed the connection."""
        with self.changing:
            conn = self.idle.pop(fd, None)
        if conn is None:
            return
        stays = self.handle(conn)
        while stays and _asked_ahead(conn):
            stays = self.handle(conn)
        if stays:
            self._watch(conn)
        else:
            conn.close(graceful=True)
            self._forget()

    def _forget(self) -> None:
        with self.changing:
            self.nr_conns -= 1

    def _end(self, conn: TConn) -> float:
        """Return until when a connection may be idle: not for long when the worker stops."""
        end: float = conn.timeout
        idle_since: float = end - self.cfg.keepalive
        return end if self.alive else max(idle_since, self.stopped) + LINGER_SECONDS


def _asked_ahead(conn: TConn) -> bool:
    """Tell whether a next request was read with the last one (pipelining): no event tells of it."""
    ahead = conn.parser.unreader.take_buffered()
    conn.parser.unreader.unread(ahead)
    return bool(ahead)


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
