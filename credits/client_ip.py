"""From which address a request comes, where proxies stand in front."""

from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request

IPV6_NETWORK_BITS = 64
UNKNOWN = "0.0.0.0"  # noqa: S104  # not a socket to listen at


def client_network(request: HttpRequest | Request) -> str:
    """Return what counts as one client: its address, of IPv6 the network that one customer gets."""
    try:
        ip = ip_address(client_address(request))
    except ValueError:
        return UNKNOWN
    if ip.version == 4:
        return str(ip)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(ip_network((ip, IPV6_NETWORK_BITS), strict=False).network_address)


def client_address(request: HttpRequest | Request) -> str:
    """Return the client's address.

    Of X-Forwarded-For only what our own proxies wrote counts: with `TRUSTED_PROXIES` 1 its last
    entry, with 2 the last but one. Whatever a client puts in front of that is not looked at.
    """
    proxies: int = settings.TRUSTED_PROXIES
    forwarded = str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",")
    entry = forwarded[-proxies].strip() if 0 < proxies <= len(forwarded) else ""
    return entry or str(request.META.get("REMOTE_ADDR", ""))
