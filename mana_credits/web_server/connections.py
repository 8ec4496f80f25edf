"""All connections of a worker, and the epoll that watches those that wait for their clients."""

import errno
import select
import socket
from collections.abc import Callable
from threading import Lock

from mana_credits.listeners import ALL_PACKETS, hear
from mana_credits.web_server.connection import Connection, Phase

# The kernel reports each of these to one thread, once; then nothing until it is watched again.
READABLE = select.EPOLLIN | select.EPOLLONESHOT
WRITABLE = select.EPOLLOUT | select.EPOLLONESHOT
NOBODY = {errno.EAGAIN, errno.ECONNABORTED, errno.EBADF}  # the last: closed, the worker stops


class Connections:
    """Counts the connections and lends each to one thread at a time.

    `make` returns the Connection of a new socket and its client's address.
    """

    def __init__(self, make: Callable[[socket.socket, object], Connection], idle: float) -> None:
        self.events = select.epoll()
        self.count = 0
        self._make = make
        self._idle_seconds = idle
        self._waiting: dict[int, Connection] = {}
        self._changing = Lock()  # of `_waiting`, `count` and the listeners' being open

    def accept(self, listener: socket.socket) -> bool:
        """Take a connection from the listener; return whether there was one.

        It is counted before anybody else can look: the worker ends when it counts none.
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
            hear(sock, ALL_PACKETS)  # it may have been opened while there were to be no more
            connection = self._make(sock, peer)
            self.events.register(sock, 0)
            self.watch_idle(connection)
        except OSError:
            sock.close()
            self._forget()
            raise
        return True

    def close_listener(self, listener: socket.socket) -> None:
        """Take the connections that wait at the listener, and close it."""
        while self.accept(listener):
            pass
        with self._changing:
            listener.close()

    def watch_idle(self, connection: Connection) -> None:
        """Wait for the connection's next request."""
        connection.enter(Phase.IDLE, self._idle_seconds)
        self.watch(connection)

    def watch(self, connection: Connection) -> None:
        """Wait until the client sends, or takes what is sent to it."""
        events = WRITABLE if connection.phase is Phase.SENDING else READABLE
        with self._changing:
            self._waiting[connection.fd] = connection
        self.events.modify(connection.fd, events)

    def claim(self, fd: int) -> Connection | None:
        """Return the connection for the calling thread alone; None when another has it.

        The number may be that of a closed connection, used again: the socket has nothing to read
        then, and is watched again.
        """
        with self._changing:
            return self._waiting.pop(fd, None)

    def claim_overdue(self, is_overdue: Callable[[Connection], bool]) -> list[Connection]:
        """Return the connections that waited for their clients for too long."""
        with self._changing:
            overdue = [fd for fd, one in self._waiting.items() if is_overdue(one)]
            return [self._waiting.pop(fd) for fd in overdue]

    def claim_largest(self, held_bytes: int) -> list[Connection]:
        """Return the largest half requests, so that all others hold at most `held_bytes`."""
        claimed: list[Connection] = []
        with self._changing:
            held = {fd: one.reader.held for fd, one in self._waiting.items()}
            excess = sum(held.values()) - held_bytes
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
        """Close a connection after a defect, whether it is watched or claimed."""
        self.claim(connection.fd)
        self.close(connection)

    def _forget(self) -> None:
        with self._changing:
            self.count -= 1
