"""The middleware of the back office, which the API never runs.

Sessions, cookies, CSRF tokens, log-ins and messages exist under `/admin/` only.
"""

from typing import Any

from axes.middleware import AxesMiddleware as Axes
from django.contrib.auth.middleware import AuthenticationMiddleware as Authentication
from django.contrib.messages.middleware import MessageMiddleware as Messages
from django.contrib.sessions.middleware import SessionMiddleware as Sessions
from django.http import HttpRequest, HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware as Csrf
from django.utils.deprecation import MiddlewareMixin
from django_otp.middleware import OTPMiddleware as Otp

PREFIX = "/admin/"
# Unfold writes its colours and some widths into the page: styles may be inline, scripts never.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; object-src 'none'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class OnlyBackOffice:
    """Lets a middleware work for the pages of the back office and costs others one comparison."""

    def __call__(self, request: HttpRequest) -> Any:
        """Run the middleware, or go on to the next one."""
        if request.path_info.startswith(PREFIX):
            return super().__call__(request)  # type: ignore[misc]
        return self.get_response(request)  # type: ignore[attr-defined]


class PolicyMiddleware(OnlyBackOffice, MiddlewareMixin):
    """What browsers may run and load, on every answer: the log-in and pages of errors too."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Add the Content-Security-Policy."""
        response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        return response


class SessionMiddleware(OnlyBackOffice, Sessions):
    """Sessions."""


class CsrfViewMiddleware(OnlyBackOffice, Csrf):
    """Forms that only our own pages can send."""

    def process_view(  # type: ignore[override]
        self, request: HttpRequest, *arguments: Any
    ) -> HttpResponseBase | None:
        """Compare the form's token with the cookie's."""
        if not request.path_info.startswith(PREFIX):
            return None
        refusal: HttpResponseBase | None = super().process_view(request, *arguments)
        return refusal


class AuthenticationMiddleware(OnlyBackOffice, Authentication):
    """Who is logged in."""


class OTPMiddleware(OnlyBackOffice, Otp):  # type: ignore[misc]
    """Whether the second factor was shown."""


class MessageMiddleware(OnlyBackOffice, Messages):
    """What the next page tells."""


class AxesMiddleware(OnlyBackOffice, Axes):  # type: ignore[misc]
    """No more log-ins after too many wrong passwords."""
