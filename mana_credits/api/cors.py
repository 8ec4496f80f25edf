"""CORS headers: which other origins may read a response in a browser."""

from collections.abc import Awaitable
from typing import cast

from corsheaders import middleware as cors
from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_vary_headers


class CorsMiddleware(cors.CorsMiddleware):
    """Runs django-cors-headers only for requests with an `Origin` header.

    Services send no `Origin`. The library's lookup in `request.headers` costs 20 microseconds for
    each of their requests.
    """

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Add the CORS headers. Without an `Origin`, add only `Vary: origin`."""
        if "HTTP_ORIGIN" in request.META:
            return super().__call__(request)
        response = cast("HttpResponseBase", self.get_response(request))
        if response.has_header("Vary"):
            patch_vary_headers(response, ("origin",))
        else:
            response["Vary"] = "origin"
        return response
