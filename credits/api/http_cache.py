"""Caching of answers that are the same for every caller, by clients and proxies."""

import hashlib
from http import HTTPStatus
from typing import cast

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response
from rest_framework.request import Request

from credits.api.wire_responses import WireResponse

CACHE_CONTROL = "public, max-age=60"


def cacheable(request: Request, answer: WireResponse) -> HttpResponseBase:
    """Return the answer with an ETag, or 304 if the caller has it already."""
    etag = f'"{hashlib.sha256(answer.content).hexdigest()[:32]}"'
    answer["ETag"] = etag
    answer["Cache-Control"] = CACHE_CONTROL
    return unless_known(request, answer)


def unless_known(request: Request, response: HttpResponse) -> HttpResponseBase:
    """Return 304 if `If-None-Match` names the response's ETag, otherwise the response."""
    asked, etag = cast("HttpRequest", request), response["ETag"]
    conditional = get_conditional_response(asked, etag=etag, response=response)
    answer = cast("HttpResponseBase", conditional)
    # `If-Match` protects changes and parts. Here it would make Django answer 412 without a body.
    return response if answer.status_code == HTTPStatus.PRECONDITION_FAILED else answer
