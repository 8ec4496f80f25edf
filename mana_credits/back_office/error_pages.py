"""What goes wrong in the back office, as pages for people; elsewhere errors are the API's."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from credits import database_errors
from credits.errors import DomainError
from mana_credits.api import errors
from mana_credits.back_office.middleware import PREFIX

TEMPORARY = {429: "Too many tries", 503: "Not available for a moment"}


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say that the address or the form has a part that is not allowed."""
    if request.path_info.startswith(PREFIX):
        text = "The address asks for something that this page does not offer."
        return _page("Not understood", text, status=400)
    return errors.bad_request(request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say that the role does not allow it."""
    text = str(exception) or "Your role does not allow this. An administrator can change it."
    return _page("Not permitted", text, status=403)


def form_too_old(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Say that a form's token does not fit any more."""
    text = "This form is too old, or cookies are blocked. Go back, load the page again, try again."
    return _page("Not sent", text, status=403)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Say that there is no such page or row."""
    if request.path_info.startswith(PREFIX):
        return _page("Not found", "There is no such page, account or row.", status=404)
    return errors.not_found(request, exception)


def server_error(request: HttpRequest, *arguments: Any) -> HttpResponse:
    """Say that it is our defect, and under which id the log has it."""
    if request.path_info.startswith(PREFIX):
        text = "This is a defect of ours, and it is in the log. Nothing half-done was kept."
        return _page(
            "Something broke", text, status=500, request_id=request.META["HTTP_X_REQUEST_ID"]
        )
    return errors.server_error(request, *arguments)


class RefusalMiddleware:
    """Turns what may be tried again later, in any page of the back office, into a page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Go on to the page."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer too many tries, busy things and a database that is away; crash for the rest."""
        if not request.path_info.startswith(PREFIX):
            return None
        refusal = error if isinstance(error, DomainError) else database_errors.refusal_for(error)
        title = TEMPORARY.get(refusal.status) if refusal else None
        if refusal is None or title is None:
            return None
        response = _page(title, refusal.text, status=refusal.status)
        response["Retry-After"] = str(refusal.retry_after)
        return response


def _page(title: str, text: str, *, status: int, request_id: str = "") -> HttpResponse:
    # Without the frame: it would ask the database, which may be what failed.
    context = {"title": title, "text": text, "request_id": request_id}
    return HttpResponse(render_to_string("back_office/error.html", context), status=status)
