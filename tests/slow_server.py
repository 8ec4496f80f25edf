"""A slow server on loopback for tests."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

Behaviour = Callable[[socket.socket, Event], None]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class SlowServer:
    """`calls` counts the connections. `behave` answers them and may be replaced."""

    def __init__(self, listener: socket.socket, behave: Behaviour) -> None:
        self.calls = 0
        self.behave = behave
        self.stopped = Event()
        self._listener = listener

    @property
    def url(self) -> str:
        """Return the URL."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def run(self) -> None:
        """Accept connections until the test ends, each in a thread."""
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self.calls += 1
            Thread(target=self._answer, args=[line], daemon=True).start()

    def _answer(self, line: socket.socket) -> None:
        with suppress(OSError), line:
            self.behave(line, self.stopped)


def hang(line: socket.socket, stopped: Event) -> None:
    """Send nothing."""
    stopped.wait(60)


def drip_head(line: socket.socket, stopped: Event) -> None:
    """Send a header byte by byte."""
    line.recv(65536)
    line.sendall(HEAD)
    _drip(line, b"X-Long: " + b"x" * 600, stopped)


def drip_body(line: socket.socket, stopped: Event) -> None:
    """Send a body byte by byte."""
    line.recv(65536)
    line.sendall(HEAD + b"Content-Length: 600\r\n\r\n")
    _drip(line, b"x" * 600, stopped)


def flood(line: socket.socket, stopped: Event) -> None:
    """Send an endless body."""
    line.recv(65536)
    line.sendall(HEAD + b"Content-Length: 1000000000\r\n\r\n")
    while not stopped.is_set():
        line.sendall(b"x" * 65536)


def answering(body: bytes) -> Behaviour:
    """Return a behaviour that answers at once."""

    def answer(line: socket.socket, stopped: Event) -> None:
        line.recv(65536)
        line.sendall(HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        # Closing with a body unread resets the connection, and the client loses the answer.
        line.settimeout(1)
        while line.recv(65536):
            pass

    return answer


def over_tls(context: ssl.SSLContext, behave: Behaviour) -> Behaviour:
    """Return the same behaviour over TLS."""

    def wrapped(line: socket.socket, stopped: Event) -> None:
        with context.wrap_socket(line, server_side=True) as encrypted:
            behave(encrypted, stopped)

    return wrapped


def drip_handshake(line: socket.socket, stopped: Event) -> None:
    """Start TLS with a record sent byte by byte."""
    line.recv(65536)
    _drip(line, b"\x16\x03\x03\x02\x00" + b"\x02" * 512, stopped)


@contextmanager
def serving(behave: Behaviour) -> Iterator[SlowServer]:
    """Serve during the context."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = SlowServer(listener, behave)
        thread = Thread(target=server.run, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.stopped.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _drip(line: socket.socket, text: bytes, stopped: Event) -> None:
    for byte in text:
        if stopped.wait(0.1):
            return
        line.sendall(bytes([byte]))
