"""Rejecting paths and queries that are not UTF-8, before any view."""

import re
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from django.http import HttpRequest, HttpResponseBase

from credits.api.wire_responses import WireResponse
from mana_credits.api import errors

BROKEN_BYTE = re.compile(r"%[89A-F][0-9A-F]")


def require_utf8(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Reject a path or a query that is not UTF-8 with 400."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        return error_for(request) or get_response(request)

    return middleware


def error_for(request: HttpRequest) -> WireResponse | None:
    """Return the error response for a path or query that is not UTF-8, else None.

    Django replaces an invalid byte of a path with the text `%FF`. A path that contains this text
    (sent as `%25FF`) is therefore rejected too: the two cannot be told apart.
    """
    parameters = request.META.get("QUERY_STRING", "")
    if "%" in request.path_info and BROKEN_BYTE.search(request.path_info):
        return errors.malformed({"path": ["The path is not UTF-8."]})
    if parameters and not _is_utf8(unquote_to_bytes(parameters.encode("latin-1"))):
        return errors.malformed({"query": ["The query is not UTF-8."]})
    return None


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
