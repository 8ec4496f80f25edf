"""Caching of answers that are the same for every caller, by clients and proxies."""

import hashlib
from typing import cast

from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import get_conditional_response
from rest_framework.request import Request

from credits.api.answers import Answer

CACHE_CONTROL = "public, max-age=60"


def cacheable(request: Request, answer: Answer) -> HttpResponseBase:
    """Return the answer with an ETag, or 304 if the caller has it already."""
    etag = f'"{hashlib.sha256(answer.content).hexdigest()[:32]}"'
    answer["ETag"] = etag
    answer["Cache-Control"] = CACHE_CONTROL
    response = get_conditional_response(cast("HttpRequest", request), etag=etag, response=answer)
    return cast("HttpResponseBase", response)
