"""One client's connection: what it sent, what it has yet to take, and until when."""

import select
import socket
import time
from enum import Enum, auto

from mana_credits.web_server.request_reader import Arrived, RequestReader

READ_BYTES = 64 * 1024
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# An answer is collected up to here before it is sent: mostly one system call for head and body.
COLLECT_BYTES = 64 * 1024
# A thread that makes a longer answer waits for its client, who has to take half of it in this time.
UNSENT_BYTES = 1024 * 1024
DRAIN_SECONDS = 10
# A client whose request waited this long for a thread may have given up; one that sent nothing for
# this long makes room where places are short.
PATIENCE_SECONDS = 1
# What a client still sends after an answer that ends the connection, and does not want read.
DISCARD_BYTES = 16 * 1024 * 1024


class Phase(Enum):
    """What a connection waits for."""

    IDLE = auto()  # the first byte of a request
    HEAD = auto()  # the rest of a head
    BODY = auto()  # the rest of a body
    TURN = auto()  # a thread that answers
    SENDING = auto()  # a client that takes the answer
    LINGERING = auto()  # a client that closes its end


# How long each may take in all, however steadily bytes trickle. Idle connections: `keepalive`.
SECONDS = {
    Phase.HEAD: 10.0,
    Phase.BODY: 20.0,
    Phase.TURN: 15.0,
    Phase.SENDING: 20.0,
    Phase.LINGERING: 10.0,
}


class ClientGone(Exception):
    """The client has closed its end, or does not take what it asked for."""


class Connection:
    """A client's connection. It belongs to one thread at a time, or to the epoll.

    Its socket never blocks. To gunicorn's Response it stands for the socket: what the kernel does
    not take at once is kept here.
    """

    def __init__(self, sock: socket.socket, reader: RequestReader, peer: object) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.fd = sock.fileno()
        self.peer = peer
        self.server = sock.getsockname()
        self.reader = reader
        self._arrived: list[Arrived] = []  # at most one
        self.phase = Phase.IDLE
        self.deadline = self.seconds = 0.0
        self.closes = False  # after the answer
        self.may_send_more = False  # the client, after that
        self._unsent = bytearray()
        self._discarded = 0

    def enter(self, phase: Phase, seconds: float | None = None) -> None:
        """Begin a phase; its deadline runs from now."""
        self.phase = phase
        self.seconds = SECONDS[phase] if seconds is None else seconds
        self.deadline = time.monotonic() + self.seconds

    def remain_in(self, phase: Phase) -> None:
        """Begin a phase, unless the connection is in it: its deadline is not renewed."""
        if phase is not self.phase:
            self.enter(phase)

    def is_dispensable(self, now: float) -> bool:
        """Tell whether it takes a place without having asked for anything, for a second now.

        A connection that was answered is kept: its client was told so.
        """
        begun = self.deadline - self.seconds
        asks_nothing = self.phase is Phase.IDLE and not self.reader.count
        return now - begun > PATIENCE_SECONDS and (
            asks_nothing or self.phase in {Phase.HEAD, Phase.BODY}
        )

    def receive(self) -> bool:
        """Read what has arrived; tell whether a request is whole, which `take_request` returns.

        Raise ClientGone, or a ParseException for what is not HTTP.
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
        """Tell whether another request has arrived with the last one (pipelining)."""
        return self._keep(self.reader.next())

    @property
    def path(self) -> str:
        """The path of the request that has arrived."""
        return self._arrived[0].path

    def take_request(self) -> Arrived:
        """Return the request that has arrived."""
        return self._arrived.pop()

    def is_abandoned(self) -> bool:
        """Tell whether the client gave up while its request waited for a thread."""
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
        """Tell whether the client sends more, or may."""
        if self.may_send_more or not self.reader.is_empty:
            return True
        try:
            return bool(self.sock.recv(READ_BYTES))
        except OSError:
            return False

    def sendall(self, data: bytes) -> None:
        """Send `data`, or keep it for later.

        Raise ClientGone when much is kept already and the client does not take it.
        """
        self._unsent += data
        if len(self._unsent) < COLLECT_BYTES or self.flush():
            return
        if len(self._unsent) > UNSENT_BYTES:
            self._wait_for_client()

    def flush(self) -> bool:
        """Send what the kernel takes; tell whether nothing is left. Raise ClientGone."""
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
        """Say that nothing more will come. The client may still be sending.

        To close now would reset the connection, and the client would lose the answer: the kernel
        resets when it is closed with unread bytes, or when more arrive.
        """
        self.enter(Phase.LINGERING)
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise ClientGone from error

    def discard(self) -> bool:
        """Drop what the client still sends; tell whether it has closed, or sent too much."""
        try:
            data = self.sock.recv(READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            return True
        self._discarded += len(data)
        return not data or self._discarded > DISCARD_BYTES

    def _keep(self, arrived: Arrived | None) -> bool:
        if arrived:
            self._arrived.append(arrived)
        return bool(arrived)

    def _wait_for_client(self) -> None:
        """Wait, in the thread that makes the answer, until the client has taken half of it."""
        poll = select.poll()
        poll.register(self.fd, select.POLLOUT)
        deadline = time.monotonic() + DRAIN_SECONDS
        while len(self._unsent) > UNSENT_BYTES // 2:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                raise ClientGone
            self.flush()
