"""All connections of a worker, and the epoll that watches those that wait for their clients."""

import errno
import select
import socket
from collections.abc import Callable
from threading import Lock

from mana_credits.listeners import ALL_PACKETS, hear
from mana_credits.web_server.connection import Connection, Phase

# With EPOLLONESHOT, the kernel reports an event to one thread and then disarms the descriptor.
# Without it, an event would wake several threads for the same connection.
READABLE = select.EPOLLIN | select.EPOLLONESHOT
WRITABLE = select.EPOLLOUT | select.EPOLLONESHOT
# EBADF: another thread has closed the listener because the worker is stopping.
NOBODY = {errno.EAGAIN, errno.ECONNABORTED, errno.EBADF}


class Connections:
    """Counts the connections and gives each to one thread at a time.

    `make` returns the Connection for a new socket and its client's address.
    """

    def __init__(self, make: Callable[[socket.socket, object], Connection], idle: float) -> None:
        self.events = select.epoll()
        self.count = 0
        self._make = make
        self._idle_seconds = idle
        self._waiting: dict[int, Connection] = {}
        self._changing = Lock()  # guards `_waiting`, `count` and closing the listeners

    def accept(self, listener: socket.socket) -> bool:
        """Accept a connection from the listener. Return whether there was one.

        `count` is incremented under the same lock, because a stopping worker ends when it is 0.
        """
        try:
            with self._changing:
                sock, peer = listener.accept()
                self.count += 1
        except OSError as error:
            if error.errno in NOBODY:
                return False
            raise
        try:
            # The listener may already drop packets (`refuse_newcomers`), and its connections
            # inherit that.
            hear(sock, ALL_PACKETS)
            connection = self._make(sock, peer)
            self.events.register(sock, 0)
            self.watch_idle(connection)
        except OSError:
            sock.close()
            self._forget()
            raise
        return True

    def close_listener(self, listener: socket.socket) -> None:
        """Accept the queued connections, which closing would reset. Close the listener."""
        while self.accept(listener):
            pass
        with self._changing:
            listener.close()

    def watch_idle(self, connection: Connection) -> None:
        """Wait for the connection's next request."""
        connection.enter(Phase.IDLE, self._idle_seconds)
        self.watch(connection)

    def watch(self, connection: Connection) -> None:
        """Arm the epoll: for reading, or for writing if the response is not fully sent."""
        events = WRITABLE if connection.phase is Phase.SENDING else READABLE
        # Before the epoll is armed: another thread may claim the connection at once.
        with self._changing:
            self._waiting[connection.fd] = connection
        self.events.modify(connection.fd, events)

    def claim(self, fd: int) -> Connection | None:
        """Return the connection for the calling thread alone, or None if another thread has it.

        `fd` may be that of a closed connection whose number was reused. The new connection then has
        nothing to read and is watched again.
        """
        with self._changing:
            return self._waiting.pop(fd, None)

    def claim_overdue(self, is_overdue: Callable[[Connection], bool]) -> list[Connection]:
        """Claim and return the connections that exceeded their time limit."""
        with self._changing:
            overdue = [fd for fd, one in self._waiting.items() if is_overdue(one)]
            return [self._waiting.pop(fd) for fd in overdue]

    def claim_largest(self, held_bytes: int) -> list[Connection]:
        """Claim and return the largest incomplete requests; the rest hold `held_bytes`."""
        claimed: list[Connection] = []
        with self._changing:
            held = {fd: one.reader.held for fd, one in self._waiting.items()}
            excess = sum(held.values()) - held_bytes
            # The largest first, which ends the fewest requests.
            while excess > 0:
                largest = max(held, key=held.__getitem__)
                excess -= held.pop(largest)
                claimed.append(self._waiting.pop(largest))
        return claimed

    def close(self, connection: Connection) -> None:
        """Close a connection that the calling thread has claimed."""
        connection.sock.close()
        self._forget()

    def abandon(self, connection: Connection) -> None:
        """Close a connection after an exception, whether it is watched or claimed."""
        self.claim(connection.fd)
        self.close(connection)

    def _forget(self) -> None:
        with self._changing:
            self.count -= 1
