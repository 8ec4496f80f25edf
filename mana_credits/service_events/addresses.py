"""Which URLs may receive events: HTTPS, a host of EVENT_HOSTS, and only public IP addresses.

An operator could otherwise make this service send requests into its own network (SSRF).
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

from django.conf import settings

# Without user, password, fragment and IPv6 host: all parsers read the same host in it.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:(?P<port>[1-9]\d{0,4}))?"
    r"(/[A-Za-z0-9/._~!$&'()*+,;=:@%?-]*)?",
    re.ASCII,
)
# The global unicast addresses, without those of tunnels to IPv4 addresses (6to4, Teredo).
_GLOBAL_V6 = IPv6Network("2000::/3")
_TUNNELS_V6 = (IPv6Network("2002::/16"), IPv6Network("2001::/23"))
# Older Pythons call parts of the first two global. The last is Azure's platform service, which only
# virtual machines reach.
_NOT_PUBLIC_V4 = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv4Network("168.63.129.16/32"),
)


class AddressForbidden(Exception):
    """The URL or one of its addresses may not receive events. The message says why."""


class Destination(NamedTuple):
    """The parts of an accepted URL that decide where a connection goes."""

    scheme: str
    host: str
    port: int


def accept(url: str) -> Destination:
    """Return where an accepted URL leads. Raises AddressForbidden. Resolves no name."""
    found = _URL.fullmatch(url)
    if found is None:
        raise AddressForbidden("The URL must be https://HOST/PATH with a host name in lower case")
    scheme, host = found["scheme"], found["host"]
    if scheme != "https" and not settings.EVENT_HOSTS_MAY_BE_LOCAL:
        raise AddressForbidden("The URL must begin with https://")
    port = int(found["port"] or (443 if scheme == "https" else 80))
    names = {f"{host}:{port}"} | ({host} if port == 443 else set())
    if names.isdisjoint(settings.EVENT_HOSTS):
        raise AddressForbidden(f"{host}:{port} is not one of EVENT_HOSTS")
    return Destination(scheme, host, port)


def require_public(host: str, addresses: list[str]) -> None:
    """Raise AddressForbidden if one of the host's IP addresses is not public.

    The caller must connect to one of these addresses and must not resolve the name again, because
    the answer could be another one.
    """
    if inside := [one for one in addresses if not _may_be_called(one)]:
        raise AddressForbidden(f"{host} has the address {inside[0]}, which is not a public one")


def is_public(ip: IPv4Address | IPv6Address) -> bool:
    """Return whether the address is public and embeds no IPv4 address."""
    if not ip.is_global or ip.is_multicast:
        return False
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in _NOT_PUBLIC_V4)
    return ip in _GLOBAL_V6 and not any(ip in tunnel for tunnel in _TUNNELS_V6)


def _may_be_called(address: str) -> bool:
    ip = ip_address(address.partition("%")[0])
    return is_public(ip) or (settings.EVENT_HOSTS_MAY_BE_LOCAL and ip.is_loopback)
