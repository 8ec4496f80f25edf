"""The WSGI application that gunicorn serves."""

import io
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from mana_credits.environment import EnvironmentInvalid

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mana_credits.settings")


def with_chunked_bodies(application: "WSGIApplication") -> "WSGIApplication":
    """Give bodies of unknown length their length; Django would take them for empty.

    Reads one byte more than is allowed, so that a body which is too large is seen to be.
    """

    def wrapped(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
            body = environ["wsgi.input"].read(_longest(environ) + 1)
            environ["wsgi.input"] = io.BytesIO(body)
            environ["CONTENT_LENGTH"] = str(len(body))
        return application(environ, start_response)

    return wrapped


def _longest(environ: "WSGIEnvironment") -> int:
    """Return how many bytes a body may have."""
    is_event = environ.get("PATH_INFO") == settings.STRIPE_WEBHOOK_PATH
    longest: int = settings.MAX_EVENT_BYTES if is_event else settings.MAX_BODY_BYTES
    return longest


try:
    application = with_chunked_bodies(get_wsgi_application())
except EnvironmentInvalid as error:
    raise SystemExit(str(error)) from None
# Load the views before gunicorn forks: shared by its workers, and no first request waits for them.
get_resolver().url_patterns  # noqa: B018
