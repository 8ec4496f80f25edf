"""The middleware chain of API requests, which skips that of pages and of the back office.

It does the parts that API responses need: the headers of Django's security middleware, CORS, and
the Content-Length.
"""

from collections.abc import Callable
from typing import cast

from django.core.exceptions import DisallowedHost
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from django.template.response import SimpleTemplateResponse
from django.urls import ResolverMatch, get_resolver

from mana_credits.api import encoding, errors
from mana_credits.api.cors import CorsMiddleware

View = Callable[[HttpRequest], HttpResponseBase]
PREFIX = "/api/"
MAX_KNOWN_HOSTS = 100


def answer_api(get_response: View) -> View:
    """Answer API requests. Pass all others on to the middleware of pages."""
    answer_short = CorsMiddleware(cast("View", convert_exception_to_response(_answer)))
    security_headers = {secure: _security_headers(secure=secure) for secure in (False, True)}

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(PREFIX):
            return get_response(request)
        response = cast("HttpResponseBase", answer_short(request))
        # All at once: each assignment to `headers` encodes and checks its name and value again.
        kept = response.headers._store  # noqa: SLF001
        response.headers._store = security_headers[request.is_secure()] | kept  # noqa: SLF001
        if isinstance(response, HttpResponse):
            response.headers.setdefault("Content-Length", str(len(response.content)))
        return response

    return middleware


def _answer(request: HttpRequest) -> HttpResponseBase:
    """Call the view. Reject an unknown host and a path or query that is not UTF-8."""
    malformed = encoding.error_for(request)
    if malformed:
        return malformed
    try:
        _check_host(request)
    except DisallowedHost as error:
        # Django itself would answer with an HTML page while DEBUG is on.
        return errors.bad_request(request, error)
    match = request.resolver_match = _resolve(request.path_info)
    response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
    if request.method == "OPTIONS" and response.has_header("Allow"):
        return _options(response["Allow"])
    if isinstance(response, SimpleTemplateResponse):
        response.render()
    return response


def _options(methods: str) -> HttpResponse:
    """Answer OPTIONS with the methods of the path, which are public, also without a token."""
    response = HttpResponse(headers={"Allow": methods})
    del response["Content-Type"]
    return response


_known_hosts: set[str] = set()


def _check_host(request: HttpRequest) -> None:
    """Raise DisallowedHost for an unknown host.

    Django checks the host only when it is read. CommonMiddleware, which reads it, is skipped.
    """
    host = request.META.get("HTTP_HOST")
    if host in _known_hosts:
        return
    request.get_host()
    # Bounded, because ALLOWED_HOSTS may allow all subdomains of a domain.
    if host and len(_known_hosts) < MAX_KNOWN_HOSTS:
        _known_hosts.add(host)


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


def _security_headers(*, secure: bool) -> dict[str, tuple[str, str]]:
    """Return the headers of Django's security middleware, in Django's own form.

    Each lower-case name has the header's name and value. `secure` means HTTPS.
    """
    request = HttpRequest()
    request.is_secure = lambda: secure  # type: ignore[method-assign]
    response = HttpResponse()
    del response["Content-Type"]
    SecurityMiddleware(lambda _: response).process_response(request, response)
    XFrameOptionsMiddleware(lambda _: response).process_response(request, response)
    stored: dict[str, tuple[str, str]] = response.headers._store  # noqa: SLF001
    return stored
