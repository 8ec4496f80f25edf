"""Pages for people in a browser, in their language, without inline scripts or third-party content.

A plain page has no script. A shell is the same for every visitor. Its JavaScript modules call the
API with the visitor's token.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import translation
from django.views.decorators.http import require_safe

from credits.postgresql import database_errors

# Pages have no inline styles or scripts, so the policy needs neither nonces nor `unsafe-inline`.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    # A gift page shows a code that is as good as money; it must not stay in a shared browser's
    # cache.
    "Cache-Control": "no-store",
    "Vary": "Accept-Language, Cookie",
}
SHELL_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self' {auth}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# A shell has no data of a visitor. A minute keeps reloads fast and a new release soon visible.
SHELL_CACHE = "public, max-age=60"
LANGUAGE_SECONDS = 365 * 24 * 3600


def render(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
    retry_after: int | None = None,
) -> HttpResponse:
    """Render the template as a page in the reader's language, German or English.

    The language is that of the language switch (`?language=de`, stored in a cookie), else the
    browser's. Only this function activates a language, because the API's texts are not translated.
    """
    chosen = request.GET.get("language")
    switched = chosen in dict(settings.LANGUAGES)
    language = chosen if switched and chosen else translation.get_language_from_request(request)
    with translation.override(language):
        content = render_to_string(
            template, {"language": language, "base_url": settings.BASE_URL, **(context or {})}
        )
    response = HttpResponse(
        content, status=status, headers={**HEADERS, "Content-Language": language}
    )
    if retry_after is not None:
        response["Retry-After"] = str(retry_after)
    if switched:
        _remember(response, language, secure=request.is_secure())
    return response


def shell(request: HttpRequest, template: str) -> HttpResponse:
    """Render a page whose scripts may call only this service's API and mana-auth."""
    url: str = settings.MANA_AUTH_PUBLIC_URL
    response = render(request, template, {"auth_url": url})
    auth = urlsplit(url)
    policy = SHELL_POLICY.format(auth=f"{auth.scheme}://{auth.netloc}")
    response["Content-Security-Policy"] = policy
    # A response that sets the language cookie is for one visitor.
    if not response.cookies:
        response["Cache-Control"] = SHELL_CACHE
    return response


def page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Restrict a view to GET and HEAD; answer with a 503 page if the database is unavailable."""

    @wraps(view)
    def guarded(request: HttpRequest, **arguments: Any) -> HttpResponse:
        try:
            return view(request, **arguments)
        except Error as error:
            refusal = database_errors.refusal_for(error)
            if refusal is None:
                raise
            return render(request, "unavailable.html", status=503, retry_after=refusal.retry_after)

    return require_safe(guarded)


@page
def dashboard(request: HttpRequest) -> HttpResponse:
    """Render `/credits`: the balance, the transactions, the packages and the prices."""
    return shell(request, "credits/credits.html")


@page
def own_settings(request: HttpRequest) -> HttpResponse:
    """Render `/credits/settings`: the notice, the spending limits and the automatic top-up."""
    return shell(request, "credits/settings.html")


@page
def cloud_sync(request: HttpRequest) -> HttpResponse:
    """Render `/credits/sync`: the status and the interval of Cloud Sync."""
    return shell(request, "credits/sync.html")


@page
def statement(request: HttpRequest, month: str = "") -> HttpResponse:
    """Render `/credits/statements/MONTH`: a month's statement, for the screen and for paper."""
    return shell(request, "credits/statement.html")


def _remember(response: HttpResponse, language: str, *, secure: bool) -> None:
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=LANGUAGE_SECONDS,
        secure=secure,
        httponly=True,
        samesite="Lax",
    )
