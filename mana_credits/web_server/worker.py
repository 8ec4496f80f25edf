"""gunicorn's worker class: threads, listeners, time limits and shutdown."""

import math
import socket
import threading
import time
from contextlib import suppress
from typing import Any

from django.conf import settings
from gunicorn.workers.gthread import ThreadWorker

from mana_credits.listeners import refuse_newcomers
from mana_credits.web_server.configuration import Configuration
from mana_credits.web_server.connection import Connection, Phase
from mana_credits.web_server.connections import READABLE, Connections
from mana_credits.web_server.dispatcher import Dispatcher
from mana_credits.web_server.request_reader import RequestReader

# After accepting, a worker pauses this long so that other workers get connections too.
YIELD_SECONDS = 0.0003
# During shutdown, a connection is closed after this idle time.
LINGER_SECONDS = 2
WAKE_SECONDS = 0.2
RECOVER_SECONDS = 1
# The kernel's send buffer for a connection, inherited from the listener. By default it grows to 4
# MB. A client that pipelines requests and reads nothing would then get hundreds of responses
# computed.
KERNEL_BYTES = 128 * 1024
# How many bytes all incomplete requests may hold together. Beyond it, the largest are ended.
HELD_BYTES = 64 * 1024 * 1024


class WebWorker(ThreadWorker):  # type: ignore[misc]
    """Answers each connection's requests in turn, and every request received before a shutdown.

    The base class waits for all connections in its main thread. It hands each request to another
    thread, which reads it from the socket however long that takes, and then takes the connection
    back. Here, all threads wait on one epoll, which reports each connection to one thread (ADR 4),
    and no thread waits for a client (ADR 77). The main thread keeps the base class's other tasks:
    the heartbeat, time limits and shutdown.

    During a shutdown, the base class keeps the listening socket open until its requests are done.
    The kernel accepts more connections meanwhile and resets them at the end. The base class also
    closes connections that it has just promised to keep alive, although the client may have sent
    its next request. Here, the worker accepts the queued connections and closes the socket at once,
    so that later clients are refused and try another replica. It closes a kept connection only
    after a short idle time, and its next response says `Connection: close` (ADR 3).
    """

    def run(self) -> None:
        """Serve until the worker is stopped and the last request is answered."""
        self.cfg: Any = Configuration(self.cfg)
        self.connections = Connections(self._connection, self.cfg.keepalive)
        self.dispatcher = Dispatcher(self, self.connections)
        self.events = self.connections.events
        self.listeners = {listener.fileno(): listener for listener in self.sockets}
        self.stopped = math.inf
        self.is_orphan = False
        for listener in self.sockets:
            listener.setblocking(False)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
            # Without events: `set_accept_enabled` adds them.
            self.events.register(listener, 0)
        for _ in range(self.cfg.threads + 1):
            threading.Thread(target=self._serve, daemon=True).start()
        super().run()

    @property
    def nr_conns(self) -> int:
        """Return the number of connections."""
        return self.connections.count

    @nr_conns.setter
    def nr_conns(self, count: int) -> None:
        """Ignore the base class's own count, which it initialises with 0."""

    def count_request(self) -> None:
        """Count a request. Begin the shutdown when the worker has reached its maximum number."""
        self.nr += 1
        if self.nr >= self.max_requests:
            self.alive = False

    def is_parent_alive(self) -> bool:
        """Return whether the master lives. If not, stop the worker.

        The next master needs the address, and a dead master sends no signal.
        """
        if super().is_parent_alive():
            return True
        self.alive = False
        self.is_orphan = True
        refuse_newcomers(self.sockets)
        return False

    def set_accept_enabled(self, enabled: bool) -> None:
        """Start or stop accepting connections. A stopping worker closes its listeners."""
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
        """Limit the wait, so that a shutdown or the last connection is noticed soon."""
        super().wait_for_and_dispatch_events(min(timeout, WAKE_SECONDS))

    def murder_keepalived(self) -> None:
        """End connections that exceeded their time limit, for their client or for a thread."""
        now = time.monotonic()
        is_full = self.nr_conns >= self.worker_connections
        for connection in self.connections.claim_overdue(
            lambda one: self._deadline(one) < now or (is_full and one.is_dispensable(now))
        ):
            self.dispatcher.end(connection)
        for connection in self.connections.claim_largest(HELD_BYTES):
            self.dispatcher.end(connection)
        self.dispatcher.refuse_overdue()

    def _connection(self, sock: socket.socket, peer: Any) -> Connection:
        return Connection(sock, RequestReader(self.cfg, peer, _body_limit), peer)

    def _deadline(self, connection: Connection) -> float:
        """Return the time limit of a connection. It is short while the worker is stopping.

        An orphan does not wait for the rest of a request either: a supervisor may start the next
        master only after all processes of this one have ended.
        """
        is_idle = connection.phase in {Phase.IDLE, Phase.LINGERING}
        if self.alive or not (self.is_orphan or is_idle):
            return connection.deadline
        begun = connection.deadline - connection.seconds
        return max(begun, self.stopped) + LINGER_SECONDS

    def _serve(self) -> None:
        """Handle the epoll's events until the thread ends with the process."""
        while True:
            for fd, _ in self.events.poll(maxevents=1):
                try:
                    if listener := self.listeners.get(fd):
                        self._accept(listener)
                    elif connection := self.connections.claim(fd):
                        self.dispatcher.carry_on(connection)
                except Exception:
                    self.log.exception("Error in a thread of the worker")
                    time.sleep(RECOVER_SECONDS)

    def _accept(self, listener: socket.socket) -> None:
        """Accept a connection, then leave the next one to the other workers."""
        try:
            if self.connections.accept(listener):
                # The listener is still disarmed for this worker, so another one gets the next
                # connection.
                time.sleep(YIELD_SECONDS)
        finally:
            if self.nr_conns < self.worker_connections:
                with suppress(ValueError):  # the stopping worker has closed it
                    self.events.modify(listener, READABLE)
            else:
                self._accepting = False  # until the main thread finds room again


def _body_limit(path: str) -> int:
    """Return the maximum number of body bytes for a path."""
    if path == settings.STRIPE_WEBHOOK_PATH:
        return settings.MAX_EVENT_BYTES
    return settings.MAX_BODY_BYTES
