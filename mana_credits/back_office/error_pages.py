"""What goes wrong in the back office, as pages for people; elsewhere errors are the API's."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from mana_credits.api import errors
from mana_credits.back_office.middleware import PREFIX


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


def _page(title: str, text: str, *, status: int, request_id: str = "") -> HttpResponse:
    # Without the frame: it would ask the database, which may be what failed.
    context = {"title": title, "text": text, "request_id": request_id}
    return HttpResponse(render_to_string("back_office/error.html", context), status=status)
