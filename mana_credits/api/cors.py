"""CORS: what a browser may read of an answer to a page of another origin."""

from collections.abc import Awaitable
from typing import cast

from corsheaders import middleware as cors
from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_vary_headers


class CorsMiddleware(cors.CorsMiddleware):
    """django-cors-headers for what a browser sends from another origin.

    Services send no `Origin`: looking for one through `request.headers` costs them 20 microseconds.
    """

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Add the headers, or only say that they depend on the origin."""
        if "HTTP_ORIGIN" in request.META:
            return super().__call__(request)
        response = cast("HttpResponseBase", self.get_response(request))
        if response.has_header("Vary"):
            patch_vary_headers(response, ("origin",))
        else:
            response["Vary"] = "origin"
        return response
