"""Listening sockets on which the kernel opens no further connection."""

import socket
import sys
import time
from collections.abc import Iterable

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
