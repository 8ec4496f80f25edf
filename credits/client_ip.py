"""From which address a request comes, where proxies stand in front."""

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request


def client_address(request: HttpRequest | Request) -> str:
    """Return the client's address.

    Of X-Forwarded-For only what our own proxies wrote counts: with `TRUSTED_PROXIES` 1 its last
    entry, with 2 the last but one. Whatever a client puts in front of that is not looked at.
    """
    proxies: int = settings.TRUSTED_PROXIES
    forwarded = str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",")
    entry = forwarded[-proxies].strip() if 0 < proxies <= len(forwarded) else ""
    return entry or str(request.META.get("REMOTE_ADDR", ""))
