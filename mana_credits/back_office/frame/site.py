"""The site of the back office: who gets in, and under which headers."""

from collections.abc import Callable
from datetime import timedelta
from functools import update_wrapper
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils import timezone
from unfold.sites import UnfoldAdminSite

from mana_credits.back_office.frame import operator_pages

# Unfold's widgets are evaluated in the page; nothing comes from elsewhere.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# What moves money. Whoever may do one of these needs a second factor.
MONEY = (
    "credits.adjust_balance",
    "credits.approve_adjustment",
    "credits.reverse_transaction",
    "credits.refund_purchase",
    "credits.manage_staff",
    "gifts.cancel_gift",
)
WITHOUT_SECOND_FACTOR = {"second_factor", "logout"}
View = Callable[..., HttpResponse]


class BackOffice(UnfoldAdminSite):  # type: ignore[misc]
    """Django's admin, where whoever moves money shows a second factor."""

    index_title = "Dashboard"
    enable_nav_sidebar = True

    def get_urls(self) -> list[URLPattern]:
        """Return the routes, our own pages first."""
        urls: list[URLPattern] = [*operator_pages.urls(self), *super().get_urls()]
        return urls

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        """Let a view answer operators only, within the limits of a session."""
        inner: View = super().admin_view(view, cacheable)

        def guarded(request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponse:
            if _session_is_over(request):
                logout(request)
            if self.has_permission(request) and _second_factor_missing(request):
                return redirect("admin:second_factor")
            response = inner(request, *arguments, **named)
            response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
            return response

        return update_wrapper(guarded, view)


def moves_money(user: Any) -> bool:
    """Tell whether the operator may do something that takes a second factor."""
    return any(user.has_perm(permission) for permission in MONEY)


def _session_is_over(request: HttpRequest) -> bool:
    user = request.user
    if not user.is_authenticated or user.last_login is None:
        return False
    return timezone.now() - user.last_login > timedelta(hours=settings.ADMIN_SESSION_HOURS)


def _second_factor_missing(request: HttpRequest) -> bool:
    route = request.resolver_match
    return (
        settings.ADMIN_REQUIRE_2FA
        and not (route and route.url_name in WITHOUT_SECOND_FACTOR)
        and not getattr(request.user, "otp_device", None)
        and moves_money(request.user)
    )
