"""Clients that send half a request, or do not read the response, and keep the connection open."""

import socket
import time
from contextlib import ExitStack, suppress

from bench.chaos.experiment import Experiment
from bench.chaos.site import Site

CLIENTS = 16  # twice the number of threads
STAY_SECONDS = 12
HALF_HEAD = b"POST /api/v1/webhooks/stripe HTTP/1.1\r\nHost: localhost\r\nX-Half: "
HEAD = (
    b"POST /api/v1/internal/credits/use HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
)
CHUNKED = (
    b"POST /api/v1/internal/credits/use HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
)
PAGE = b"GET /credits HTTP/1.1\r\nHost: localhost\r\n\r\n"


def half_heads(site: Site) -> str:
    """Send half a request head on each connection."""
    return _stay(site, HALF_HEAD)


def half_bodies(site: Site) -> str:
    """Send a head and half of its body on each connection."""
    return _stay(site, HEAD + b'{"userId": ')


def half_chunks(site: Site) -> str:
    """Send a head and half of a chunk on each connection."""
    return _stay(site, CHUNKED + b'40\r\n{"userId": ')


def drips(site: Site) -> str:
    """Send a head byte by byte, a few bytes per second, on each connection."""
    with ExitStack() as stack:
        lines = [stack.enter_context(site.connect()) for _ in range(CLIENTS)]
        deadline = time.monotonic() + STAY_SECONDS
        for byte in HEAD:
            for line in lines:
                with suppress(OSError):
                    line.sendall(bytes([byte]))
            if time.monotonic() > deadline:
                break
            time.sleep(0.2)
        return f"{CLIENTS} clients"


def no_reader(site: Site) -> str:
    """Pipeline requests with large responses, and read none of them."""
    with ExitStack() as stack:
        for _ in range(CLIENTS // 2):
            line = stack.enter_context(site.connect())
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.settimeout(0.2)
            with suppress(OSError):
                line.sendall(PAGE * 300)
        time.sleep(2 * STAY_SECONDS)
        return f"{CLIENTS // 2} clients, answered until their receive buffers are full"


def _stay(site: Site, half: bytes) -> str:
    """Open connections, send `half` on each, and keep them open."""
    with ExitStack() as stack:
        for _ in range(CLIENTS):
            stack.enter_context(site.connect()).sendall(half)
        time.sleep(STAY_SECONDS)
        return f"{CLIENTS} clients"


EXPERIMENTS = (
    Experiment("1a", "half heads", half_heads),
    Experiment("1b", "half bodies", half_bodies),
    Experiment("1c", "half chunks", half_chunks),
    Experiment("1d", "heads byte by byte", drips),
    Experiment("1e", "clients that read nothing", no_reader),
)
