"""One client's connection: its incoming bytes, its unsent response and its deadline."""

import select
import socket
import time
from enum import Enum, auto

from mana_credits.web_server.request_reader import ArrivedRequest, RequestReader

READ_BYTES = 64 * 1024
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# A response is collected up to this size before it is sent. Head and body then mostly need one
# system call.
COLLECT_BYTES = 64 * 1024
# If more than this is unsent, the thread waits for the client, which must read half of it in this
# time.
UNSENT_BYTES = 1024 * 1024
DRAIN_SECONDS = 10
# A client whose request waited this long for a thread may have closed the connection. When no
# connection is free, clients that sent nothing for this long are disconnected.
PATIENCE_SECONDS = 1
# The same for a client that was answered, which expects the connection to be kept for a while.
KEPT_SECONDS = 5
# How many bytes are read and dropped after a response that closes the connection.
DISCARD_BYTES = 16 * 1024 * 1024


class Phase(Enum):
    """The event that a connection waits for."""

    IDLE = auto()  # the first byte of a request
    HEAD = auto()  # the rest of a head
    BODY = auto()  # the rest of a body
    TURN = auto()  # a free thread
    SENDING = auto()  # the client to read the response
    LINGERING = auto()  # the client to close the connection


# The limit of each phase in total. A client that sends byte by byte cannot extend it. Idle
# connections have `keepalive` instead.
SECONDS = {
    Phase.HEAD: 10.0,
    Phase.BODY: 20.0,
    Phase.TURN: 15.0,
    Phase.SENDING: 20.0,
    Phase.LINGERING: 10.0,
}


class ClientGone(Exception):
    """The client has closed the connection or does not read the response."""


class Connection:
    """A client's connection. It belongs to one thread at a time, or to the epoll.

    Its socket never blocks. gunicorn's Response uses this object as the socket. Bytes that the
    kernel does not accept are kept here.
    """

    def __init__(self, sock: socket.socket, reader: RequestReader, peer: object) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.fd = sock.fileno()
        self.peer = peer
        self.server = sock.getsockname()
        self.reader = reader
        self._arrived: list[ArrivedRequest] = []  # at most one element
        self.phase = Phase.IDLE
        self.deadline = self.seconds = 0.0
        self.closes = False  # after the response
        self.may_send_more = False  # whether the client may still send after the response
        self._unsent = bytearray()
        self._discarded = 0

    def enter(self, phase: Phase, seconds: float | None = None) -> None:
        """Start a phase and its deadline."""
        self.phase = phase
        self.seconds = SECONDS[phase] if seconds is None else seconds
        self.deadline = time.monotonic() + self.seconds

    def remain_in(self, phase: Phase) -> None:
        """Start a phase, unless it is the current one. This does not extend the deadline."""
        if phase is not self.phase:
            self.enter(phase)

    def is_dispensable(self, now: float) -> bool:
        """Return whether the connection can be closed to make room for others.

        True if the client has sent no request, or has not closed a closing connection, for
        PATIENCE_SECONDS, or if it was answered before and has been idle for KEPT_SECONDS.
        """
        was_answered = self.phase is Phase.IDLE and self.reader.count
        patience = KEPT_SECONDS if was_answered else PATIENCE_SECONDS
        waited = now - (self.deadline - self.seconds)
        return waited > patience and self.phase not in {Phase.TURN, Phase.SENDING}

    def receive(self) -> bool:
        """Read incoming bytes. Return whether a request is complete; `take_request` returns it.

        Raises ClientGone, or ParseException if the bytes are not HTTP.
        """
        try:
            data = self.sock.recv(READ_BYTES)
        except BlockingIOError:
            return False
        except OSError as error:
            raise ClientGone from error
        if not data:
            raise ClientGone
        return self._keep(self.reader.feed(data))

    def next_request(self) -> bool:
        """Return whether another complete request arrived with the last one (pipelining)."""
        return self._keep(self.reader.next())

    @property
    def path(self) -> str:
        """Return the path of the request that has arrived."""
        return self._arrived[0].path

    def take_request(self) -> ArrivedRequest:
        """Return the request that has arrived."""
        return self._arrived.pop()

    def is_abandoned(self) -> bool:
        """Return whether the client closed the connection while its request waited for a thread."""
        waited = time.monotonic() - (self.deadline - self.seconds)
        if self.phase is not Phase.TURN or waited < PATIENCE_SECONDS:
            return False
        try:
            return not self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def has_input(self) -> bool:
        """Return whether the client has sent more, or may still do so."""
        if self.may_send_more or not self.reader.is_empty:
            return True
        try:
            return bool(self.sock.recv(READ_BYTES))
        except OSError:
            return False

    def sendall(self, data: bytes) -> None:
        """Send `data`, or keep it for later.

        Raises ClientGone if too much is unsent and the client does not read it.
        """
        self._unsent += data
        if len(self._unsent) < COLLECT_BYTES or self.flush():
            return
        if len(self._unsent) > UNSENT_BYTES:
            self._wait_for_client()

    def flush(self) -> bool:
        """Send what the kernel accepts. Return whether nothing is left. Raises ClientGone."""
        try:
            while self._unsent:
                sent = self.sock.send(self._unsent)
                del self._unsent[:sent]
        except BlockingIOError:
            return False
        except OSError as error:
            raise ClientGone from error
        return True

    def linger(self) -> None:
        """Shut down the sending side while the client may still be sending.

        Closing now would lose the response: if the receive buffer has unread bytes or more arrive,
        the kernel sends a reset, and the client's kernel discards what it has not read.
        """
        self.enter(Phase.LINGERING)
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise ClientGone from error

    def discard(self) -> bool:
        """Discard incoming bytes. Return whether the client closed or exceeded the limit."""
        try:
            data = self.sock.recv(READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            return True
        self._discarded += len(data)
        return not data or self._discarded > DISCARD_BYTES

    def _keep(self, arrived: ArrivedRequest | None) -> bool:
        if arrived:
            self._arrived.append(arrived)
        return bool(arrived)

    def _wait_for_client(self) -> None:
        """Block the thread until the client has read half of the data. Raises ClientGone."""
        poll = select.poll()
        poll.register(self.fd, select.POLLOUT)
        deadline = time.monotonic() + DRAIN_SECONDS
        while len(self._unsent) > UNSENT_BYTES // 2:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                raise ClientGone
            self.flush()
