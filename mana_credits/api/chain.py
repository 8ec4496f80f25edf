"""The middleware chain of API requests, which skips that of pages and of the back office.

It does the parts that API responses need: the headers of Django's security middleware, CORS, and
the Content-Length.
"""

from collections.abc import Callable
from typing import cast

from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from django.template.response import SimpleTemplateResponse
from django.urls import ResolverMatch, get_resolver

from mana_credits.api import encoding
from mana_credits.api.cors import CorsMiddleware

View = Callable[[HttpRequest], HttpResponseBase]
PREFIX = "/api/"


def answer_api(get_response: View) -> View:
    """Answer API requests. Pass all others on to the middleware of pages."""
    answer_short = CorsMiddleware(cast("View", convert_exception_to_response(_answer)))
    security_headers = {secure: _security_headers(secure=secure) for secure in (False, True)}

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(PREFIX):
            return get_response(request)
        response = cast("HttpResponseBase", answer_short(request))
        for name, value in security_headers[request.is_secure()]:
            response.headers.setdefault(name, value)
        if isinstance(response, HttpResponse):
            response.headers.setdefault("Content-Length", str(len(response.content)))
        return response

    return middleware


def _answer(request: HttpRequest) -> HttpResponseBase:
    """Call the view. Raises DisallowedHost for an unknown host."""
    malformed = encoding.error_for(request)
    if malformed:
        return malformed
    # Django checks the host only when it is read; CommonMiddleware, which reads it, is skipped.
    request.get_host()
    match = request.resolver_match = _resolve(request.path_info)
    response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
    if isinstance(response, SimpleTemplateResponse):
        response.render()
    return response


_static_routes: dict[str, ResolverMatch] = {}


def _resolve(path: str) -> ResolverMatch:
    """Return the view of a path. Routes without parameters are cached.

    Every path has a view: the last URL pattern answers 404.
    """
    known = _static_routes.get(path)
    if known:
        return known
    match = get_resolver().resolve(path)
    # Paths with parameters are not cached: a client could fill the memory with them.
    if match.route == path.removeprefix("/"):
        _static_routes[path] = match
    return match


def _security_headers(*, secure: bool) -> list[tuple[str, str]]:
    """Return the headers of Django's security middleware, for HTTPS or HTTP."""
    request = HttpRequest()
    request.is_secure = lambda: secure  # type: ignore[method-assign]
    response = HttpResponse()
    del response["Content-Type"]
    SecurityMiddleware(lambda _: response).process_response(request, response)
    XFrameOptionsMiddleware(lambda _: response).process_response(request, response)
    return list(response.items())
