"""Addresses to listen on, and closing listening sockets without resetting new connections."""

import socket
import sys
import time
from collections.abc import Iterable

from mana_credits.environment import EnvironmentInvalid

# Socket options for the minimum time to live of incoming packets (linux/in.h, in6.h). The kernel
# drops packets below it. Hosts send packets with 64 or 128, so a minimum of 255 (RFC 5082) drops
# all of them.
IP_MINTTL = 21
IPV6_MINHOPCOUNT = 73
ALL_PACKETS, NO_PACKETS = 0, 255
HANDSHAKE_SECONDS = 0.05


def require_own_address(host: str) -> None:
    """Raise EnvironmentInvalid unless `host`, the value of HOST, is an address of this machine."""
    try:
        family = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.bind((host, 0))
    except (OSError, UnicodeError):
        raise EnvironmentInvalid(
            "HOST is not an address of this machine such as 127.0.0.1 or ::."
        ) from None


def refuse_newcomers(listeners: Iterable[socket.socket]) -> None:
    """Make the kernel drop new connection attempts on `listeners`; handshakes in progress finish.

    Closing a listening socket resets the connections in its queue, and the kernel adds connections
    to the queue until `close`. Dropping packets first keeps the queue empty after the last
    `accept`. Only Linux can do this. A client that connects in the meantime gets no answer,
    retransmits after a second and is then refused or reaches another replica.
    """
    for listener in listeners:
        hear(listener, NO_PACKETS)
    time.sleep(HANDSHAKE_SECONDS)


def hear(line: socket.socket, least: int) -> None:
    """Set the minimum time to live of packets that the kernel accepts. Connections inherit it."""
    if sys.platform == "linux" and line.family in {socket.AF_INET, socket.AF_INET6}:
        line.setsockopt(socket.IPPROTO_IP, IP_MINTTL, least)
        if line.family == socket.AF_INET6:
            line.setsockopt(socket.IPPROTO_IPV6, IPV6_MINHOPCOUNT, least)
