"""Answers that are the same for everybody, so that clients and proxies may keep them."""

import hashlib
import json
from typing import cast

from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import get_conditional_response
from rest_framework.request import Request
from rest_framework.response import Response

CACHE_CONTROL = "public, max-age=60"


def cacheable(request: Request, response: Response) -> HttpResponseBase:
    """Return the response with an ETag, or 304 if the caller has it already."""
    etag = f'"{hashlib.sha256(json.dumps(response.data).encode()).hexdigest()[:32]}"'
    response["ETag"] = etag
    response["Cache-Control"] = CACHE_CONTROL
    answer = get_conditional_response(cast("HttpRequest", request), etag=etag, response=response)
    return cast("HttpResponseBase", answer)
