"""The admin site of the back office: access and session limits."""

from collections.abc import Callable
from datetime import timedelta
from functools import update_wrapper
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.core.exceptions import SuspiciousOperation
from django.core.paginator import InvalidPage
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from unfold.sites import UnfoldAdminSite

from mana_credits.back_office.frame import operator_pages

WITHOUT_SECOND_FACTOR = {"second_factor", "logout"}
BEGAN_AT = "began_at"  # session key: start of the session in seconds since 1970
View = Callable[..., HttpResponse]


class BackOffice(UnfoldAdminSite):  # type: ignore[misc]
    """Django's admin, restricted to operators who have passed the second factor."""

    index_title = "Dashboard"
    enable_nav_sidebar = True

    def get_urls(self) -> list[URLPattern]:
        """Return the routes, with the back office's own pages first."""
        # First, because the last route of Django's admin matches every path.
        urls: list[URLPattern] = [*operator_pages.urls(self), *super().get_urls()]
        return urls

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return unfold's context without its colours, which it would write as an inline style."""
        context: dict[str, Any] = super().each_context(request)
        return {**context, "colors": None}

    def app_index(self, request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponse:
        """Redirect to the dashboard: the menu lists what there is, in the operators' words."""
        return redirect("admin:index")

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        """Restrict a view to operators with a session that has not expired."""
        inner: View = super().admin_view(view, cacheable)

        def guarded(request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponse:
            # Here and not in each page: every page may pass a part of its URL to a query.
            _refuse_nul(request)
            # A session's cookie is renewed with each use. This limit counts from the log-in,
            # whatever the use.
            if _session_is_over(request):
                logout(request)
            if self.has_permission(request) and _second_factor_missing(request):
                wanted = {"next": request.get_full_path()}
                return redirect(reverse("admin:second_factor", query=wanted))
            return inner(request, *arguments, **named)

        return update_wrapper(guarded, view)

    def search(self, request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponse:
        """Search the menu. An unknown page number is 404."""
        try:
            found: HttpResponse = super().search(request, *arguments, **named)
        except (InvalidPage, ValueError) as error:
            raise Http404 from error
        return found


def _refuse_nul(request: HttpRequest) -> None:
    """Raise SuspiciousOperation for a NUL in the URL, which PostgreSQL texts cannot hold."""
    values = (value for values in request.GET.lists() for value in (values[0], *values[1]))
    if "\0" in request.path_info or any("\0" in value for value in values):
        raise SuspiciousOperation("The address contains a NUL")


def _session_is_over(request: HttpRequest) -> bool:
    """Return whether the session has expired. Its time starts with its first page."""
    if not request.user.is_authenticated:
        return False
    now = timezone.now().timestamp()
    began: float = request.session.setdefault(BEGAN_AT, now)
    return now - began > timedelta(hours=settings.ADMIN_SESSION_HOURS).total_seconds()


def _second_factor_missing(request: HttpRequest) -> bool:
    route = request.resolver_match
    return (
        settings.ADMIN_REQUIRE_2FA
        and not (route and route.url_name in WITHOUT_SECOND_FACTOR)
        and not getattr(request.user, "otp_device", None)
    )
