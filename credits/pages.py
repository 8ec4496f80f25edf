"""Pages for people in a browser: in their language, without scripts, nothing from elsewhere."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import translation
from django.views.decorators.http import require_safe

RETRY_AFTER_SECONDS = 5
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
    "Vary": "Accept-Language",
}

logger = structlog.get_logger(__name__)


def render(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
    retry_after: int | None = None,
) -> HttpResponse:
    """Return the template as a page in the language that the browser prefers, German or English.

    Only here a language is activated: the API has none.
    """
    language = translation.get_language_from_request(request)
    with translation.override(language):
        content = render_to_string(
            template, {"language": language, "base_url": settings.BASE_URL, **(context or {})}
        )
    response = HttpResponse(
        content, status=status, headers={**HEADERS, "Content-Language": language}
    )
    if retry_after is not None:
        response["Retry-After"] = str(retry_after)
    return response


def page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Let a view answer GET and HEAD only, and a friendly 503 while the database is away."""

    @wraps(view)
    def guarded(request: HttpRequest, **arguments: Any) -> HttpResponse:
        try:
            return view(request, **arguments)
        except (OperationalError, InterfaceError) as error:
            logger.error("database_unavailable", error=type(error.__cause__).__name__)  # noqa: TRY400
            return render(request, "unavailable.html", status=503, retry_after=RETRY_AFTER_SECONDS)

    return require_safe(guarded)
