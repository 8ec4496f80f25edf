"""gunicorn's worker: its threads, its listeners, its deadlines, and its end."""

import math
import socket
import threading
import time
from contextlib import suppress
from typing import Any

from django.conf import settings
from gunicorn.workers.gthread import ThreadWorker

from mana_credits.listeners import refuse_newcomers
from mana_credits.web_server.connection import Connection, Phase
from mana_credits.web_server.connections import READABLE, Connections
from mana_credits.web_server.request_reader import RequestReader
from mana_credits.web_server.serving import Serving

# After accepting, a worker pauses this long so that other workers get connections too.
YIELD_SECONDS = 0.0003
# At the end, a connection is closed after it was idle for so long.
LINGER_SECONDS = 2
WAKE_SECONDS = 0.2
RECOVER_SECONDS = 1
# What the kernel keeps for a client that reads nothing; connections inherit it. By itself it would
# keep 4 MB, for which a client that asks ahead has hundreds of its requests answered.
KERNEL_BYTES = 128 * 1024
# What half requests may hold in all; then the largest of them are ended.
HELD_BYTES = 64 * 1024 * 1024


class WebWorker(ThreadWorker):  # type: ignore[misc]
    """Answers each connection's requests in turn, and everybody who reached it when it stops.

    The base class waits for all connections in its main thread, hands every request to another,
    which reads it from the socket however long that takes, and takes the connection back
    afterwards. Here all threads wait at one epoll, which reports a connection to one of them, once
    (ADR 4), and none waits for a client (ADR 77). The main thread keeps what the base class does
    beside: the sign of life, deadlines, and the end.

    At the end the base class leaves the listening socket open while it finishes, so that the kernel
    goes on taking connections which are reset then; and it closes connections whose clients it had
    just promised to keep them, and who may have sent their next request. Here the waiting
    connections are taken and the socket is closed at once (later clients are refused and turn to
    another replica), and a kept connection is closed only after it was idle for a moment, its
    next answer saying `Connection: close` (ADR 3).
    """

    def run(self) -> None:
        """Serve until told to stop, and to the last request."""
        self.connections = Connections(self._connection, self.cfg.keepalive)
        self.serving = Serving(self, self.connections)
        self.events = self.connections.events
        self.listeners = {listener.fileno(): listener for listener in self.sockets}
        self.stopped = math.inf
        self.is_orphan = False
        for listener in self.sockets:
            listener.setblocking(False)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
            self.events.register(listener, 0)
        for _ in range(self.cfg.threads + 1):
            threading.Thread(target=self._serve, daemon=True).start()
        super().run()

    @property
    def nr_conns(self) -> int:
        """How many connections there are."""
        return self.connections.count

    @nr_conns.setter
    def nr_conns(self, count: int) -> None:
        """Ignore what the base class counts: it starts with 0."""

    def count_request(self) -> None:
        """Count a request, and begin to stop with the last one of this worker's life."""
        self.nr += 1
        if self.nr >= self.max_requests:
            self.alive = False

    def is_parent_alive(self) -> bool:
        """Stop when the master died: its successor needs the address, and nobody else says so."""
        if super().is_parent_alive():
            return True
        self.alive = False
        self.is_orphan = True
        refuse_newcomers(self.sockets)
        return False

    def set_accept_enabled(self, enabled: bool) -> None:
        """Start or stop taking connections; when the worker stops, for good."""
        self._accepting = enabled
        if enabled:
            for listener in self.sockets:
                self.events.modify(listener, READABLE)
        elif not self.alive:
            self.stopped = time.monotonic()
            self.listeners.clear()
            for listener in self.sockets:
                self.connections.close_listener(listener)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wake up often enough to see that the worker stops, or that nobody is left."""
        super().wait_for_and_dispatch_events(min(timeout, WAKE_SECONDS))

    def murder_keepalived(self) -> None:
        """End the connections that waited for too long: for their clients, or for a thread."""
        now = time.monotonic()
        is_full = self.nr_conns >= self.worker_connections
        for connection in self.connections.claim_overdue(
            lambda one: self._deadline(one) < now or (is_full and one.is_dispensable(now))
        ):
            self.serving.end(connection)
        for connection in self.connections.claim_largest(HELD_BYTES):
            self.serving.end(connection)
        self.serving.refuse_overdue()

    def _connection(self, sock: socket.socket, peer: Any) -> Connection:
        return Connection(sock, RequestReader(self.cfg, peer, _body_limit), peer)

    def _deadline(self, connection: Connection) -> float:
        """Return until when a connection may wait: not for long when the worker stops.

        An orphan does not wait for the rest of a request either: a supervisor may start the next
        master only when all processes of this one have ended.
        """
        is_idle = connection.phase in {Phase.IDLE, Phase.LINGERING}
        if self.alive or not (self.is_orphan or is_idle):
            return connection.deadline
        begun = connection.deadline - connection.seconds
        return max(begun, self.stopped) + LINGER_SECONDS

    def _serve(self) -> None:
        """Take connections and carry them on, for the thread's whole life."""
        while True:
            for fd, _ in self.events.poll(maxevents=1):
                try:
                    if listener := self.listeners.get(fd):
                        self._accept(listener)
                    elif connection := self.connections.claim(fd):
                        self.serving.carry_on(connection)
                except Exception:
                    self.log.exception("Error in a thread of the worker")
                    time.sleep(RECOVER_SECONDS)

    def _accept(self, listener: socket.socket) -> None:
        """Take a connection, and let the other workers have the next one."""
        try:
            if self.connections.accept(listener):
                time.sleep(YIELD_SECONDS)
        finally:
            if self.nr_conns < self.worker_connections:
                with suppress(ValueError):  # it is closed when the worker stops
                    self.events.modify(listener, READABLE)
            else:
                self._accepting = False  # until the main thread finds that there is room


def _body_limit(path: str) -> int:
    """Return how many bytes a body for this path may have."""
    if path == settings.STRIPE_WEBHOOK_PATH:
        return settings.MAX_EVENT_BYTES
    return settings.MAX_BODY_BYTES
