"""The back office's middleware, which API requests skip.

Sessions, cookies, CSRF tokens, log-ins and messages exist only under `/admin/`.
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
# Neither inline scripts nor inline styles: unfold's colours are in `back-office-colors.css`.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; object-src 'none'; "
    "style-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class OnlyBackOffice:
    """Runs a middleware only for the back office. Other requests cost one comparison."""

    def __call__(self, request: HttpRequest) -> Any:
        """Run the middleware, or skip it."""
        if request.path_info.startswith(PREFIX):
            return super().__call__(request)  # type: ignore[misc]
        return self.get_response(request)  # type: ignore[attr-defined]


class PolicyMiddleware(OnlyBackOffice, MiddlewareMixin):
    """Sets the Content-Security-Policy of every response, including errors and the log-in."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Add the Content-Security-Policy."""
        response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        return response


class SessionMiddleware(OnlyBackOffice, Sessions):
    """Loads and saves sessions."""


class CsrfViewMiddleware(OnlyBackOffice, Csrf):
    """Rejects forms from other sites."""

    def process_view(  # type: ignore[override]
        self, request: HttpRequest, *arguments: Any
    ) -> HttpResponseBase | None:
        """Compare the form's CSRF token with the cookie."""
        # Django calls this hook by itself, not through `__call__`.
        if not request.path_info.startswith(PREFIX):
            return None
        refusal: HttpResponseBase | None = super().process_view(request, *arguments)
        return refusal


class AuthenticationMiddleware(OnlyBackOffice, Authentication):
    """Sets the logged-in user of the request."""


class OTPMiddleware(OnlyBackOffice, Otp):  # type: ignore[misc]
    """Sets whether the user has passed the second factor."""


class MessageMiddleware(OnlyBackOffice, Messages):
    """Keeps messages for the next page."""


class AxesMiddleware(OnlyBackOffice, Axes):  # type: ignore[misc]
    """Blocks log-ins after too many wrong passwords."""
