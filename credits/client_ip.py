"""The client's IP address of a request that came through proxies."""

from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request

IPV6_NETWORK_BITS = 56
UNKNOWN = "0.0.0.0"  # noqa: S104  # a placeholder, not an address to listen on


def client_network(request: HttpRequest | Request) -> str:
    """Return the network of the client's IP address (see `network_of`)."""
    return network_of(client_address(request))


def network_of(address: str) -> str:
    """Return the network that counts as one client: an IPv4 address, or the start of an IPv6 /56.

    Providers assign up to a /56 to one customer, which is 256 networks of 64 bits. Returns UNKNOWN
    for an invalid address.
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return UNKNOWN
    if ip.version == 4:
        return str(ip)
    # A server that listens on IPv6 may report IPv4 clients by mapped addresses (::ffff:…).
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(ip_network((ip, IPV6_NETWORK_BITS), strict=False).network_address)


def client_address(request: HttpRequest | Request) -> str:
    """Return the client's IP address as text.

    Only our own proxies' entries in X-Forwarded-For are trusted: with `TRUSTED_PROXIES=1` the last
    entry is the client's address, with 2 the second to last. Earlier entries are ignored because a
    client can forge them.
    """
    proxies: int = settings.TRUSTED_PROXIES
    forwarded = str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",")
    entry = forwarded[-proxies].strip() if 0 < proxies <= len(forwarded) else ""
    return entry or str(request.META.get("REMOTE_ADDR", ""))
