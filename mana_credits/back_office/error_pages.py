"""Error pages of the back office. Outside /admin/, errors are JSON as in the API."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string

from credits.errors import DomainError
from credits.postgresql import database_errors
from mana_credits.api import errors
from mana_credits.back_office.middleware import PREFIX

TEMPORARY = {429: "Too many attempts", 503: "Temporarily unavailable"}


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return 400 for a URL or form with an invalid part."""
    if request.path_info.startswith(PREFIX):
        text = "The URL contains a part that this page does not support."
        return _page("Invalid request", text, status=400)
    return errors.bad_request(request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return 403 for a missing permission."""
    text = str(exception) or "Your role does not allow this. An administrator can change it."
    return _page("Not permitted", text, status=403)


def form_too_old(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Return 403 for an invalid or expired CSRF token, and 413 for a form that was not read."""
    # The server passes on no body above the limit, so the token in it is missing.
    if int(request.META.get("CONTENT_LENGTH") or 0) > settings.MAX_BODY_BYTES:
        text = "The file or the text is too large. Go back and choose a smaller one."
        return _page("Form too large", text, status=413)
    # Browsers keep what was typed if the operator goes back. A reload would empty the form.
    text = "The form has expired, or cookies are blocked. Go back and send the form again."
    return _page("Form not accepted", text, status=403)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Return 404 for an unknown page or row."""
    if request.path_info.startswith(PREFIX):
        return _page("Not found", "There is no such page, account or row.", status=404)
    return errors.not_found(request, exception)


def server_error(request: HttpRequest, *arguments: Any) -> HttpResponse:
    """Return 500 with the request id under which the log has the traceback."""
    if request.path_info.startswith(PREFIX):
        text = "An unexpected error occurred and was logged. No partial changes were saved."
        return _page(
            "Internal error", text, status=500, request_id=request.META["HTTP_X_REQUEST_ID"]
        )
    return errors.server_error(request, *arguments)


class RefusalMiddleware:
    """Turns 404 and temporary errors of any page of the back office into an error page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Return the page's response."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Return an error page for 404, 429 and 503. Other exceptions stay unhandled."""
        if not request.path_info.startswith(PREFIX):
            return None
        # With DEBUG, Django would show its own page, whose style the policy forbids.
        if isinstance(error, Http404):
            return not_found(request)
        # Pages have no DRF, which turns such exceptions into responses in the API.
        refusal = error if isinstance(error, DomainError) else database_errors.refusal_for(error)
        title = TEMPORARY.get(refusal.status) if refusal else None
        if refusal is None or title is None:
            return None
        response = _page(title, refusal.text, status=refusal.status)
        response["Retry-After"] = str(refusal.retry_after)
        return response


def _page(title: str, text: str, *, status: int, request_id: str = "") -> HttpResponse:
    # Rendered without the frame, because the frame queries the database, which may have failed.
    context = {"title": title, "text": text, "request_id": request_id}
    return HttpResponse(render_to_string("back_office/error.html", context), status=status)
