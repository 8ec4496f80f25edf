"""The WSGI application that gunicorn serves."""

import io
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.cache import close_caches
from django.core.handlers.base import reset_urlconf
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import reset_queries
from django.urls import get_resolver

from mana_credits.environment import EnvironmentInvalid

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mana_credits.settings")


def with_chunked_bodies(application: "WSGIApplication") -> "WSGIApplication":
    """Read chunked bodies and set their Content-Length; without it, Django reads an empty body.

    Reads one byte more than allowed, so that the parser detects a body that is too large.
    """

    def wrapped(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
            body = environ["wsgi.input"].read(_longest(environ) + 1)
            environ["wsgi.input"] = io.BytesIO(body)
            environ["CONTENT_LENGTH"] = str(len(body))
        return application(environ, start_response)

    return wrapped


def _longest(environ: "WSGIEnvironment") -> int:
    """Return the maximum size of the request's body in bytes."""
    is_event = environ.get("PATH_INFO") == settings.STRIPE_WEBHOOK_PATH
    longest: int = settings.MAX_EVENT_BYTES if is_event else settings.MAX_BODY_BYTES
    return longest


try:
    application = with_chunked_bodies(get_wsgi_application())
except EnvironmentInvalid as error:
    raise SystemExit(str(error)) from None
# Django calls these for each request. Without DEBUG, no queries are recorded. No cache is used, and
# no request sets its own URL configuration.
if not settings.DEBUG:
    request_started.disconnect(reset_queries)
request_finished.disconnect(close_caches)
request_finished.disconnect(reset_urlconf)
# Load the views before gunicorn forks, so that workers share their memory and the first request
# does not wait for imports.
get_resolver().url_patterns  # noqa: B018
