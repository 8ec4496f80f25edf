"""Pages of the back office: permissions, rendering, and forms that take effect once."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import update_wrapper
from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from credits.client_ip import client_address
from credits.errors import DomainError
from mana_credits.back_office.acts import looks
from mana_credits.back_office.acts.audit import AlreadyDone, NotPermitted, Operator

View = Callable[..., HttpResponseBase]

LOOKS_BECAUSE = "looks_because"  # session key: why the operator looks at accounts
LONGEST_REASON = 200
WAITS = "This waits for a colleague's approval."

_pages: list[tuple[str, View, str]] = []
_permissions: dict[str, str] = {}


def page(route: str, *, name: str, permission: str) -> Callable[[View], View]:
    """Register a view under `/admin/` as `admin:NAME`, with an optional permission."""

    def decorate(view: View) -> View:
        # Checked here, so that no page can forget it. The acts check permissions themselves, too.
        def guarded(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
            if not may_open(request, name):
                raise PermissionDenied
            try:
                return view(request, **arguments)
            except NotPermitted as error:
                raise PermissionDenied(error.text) from error

        _pages.append((route, update_wrapper(guarded, view), name))
        _permissions[name] = permission
        return guarded

    return decorate


def may_open(request: HttpRequest, name: str) -> bool:
    """Return whether the operator has the permission of the page `admin:NAME`."""
    permission = _permissions[name]
    return not permission or request.user.has_perm(permission)


def urls(site: admin.AdminSite) -> list[URLPattern]:
    """Return the routes of all registered pages."""
    return [path(route, site.admin_view(view), name=name) for route, view, name in _pages]


def render(
    request: HttpRequest, template: str, title: str, context: Mapping[str, Any] | None = None
) -> HttpResponse:
    """Return the template rendered within the back office's frame."""
    frame = admin.site.each_context(request)
    return TemplateResponse(
        request, f"back_office/{template}", {**frame, "title": title, **(context or {})}
    )


def operator_of(request: HttpRequest) -> Operator:
    """Return the operator who sent the request."""
    return Operator(
        request.user.get_username(),
        request.user.has_perm,
        address=client_address(request)[:64],
        request_id=request.META.get("HTTP_X_REQUEST_ID", ""),
        looks_because=looks_because(request),
    )


def looks_because(request: HttpRequest) -> str:
    """Return the reason for looking at accounts that the operator gave in this session."""
    return str(request.session.get(LOOKS_BECAUSE, ""))


def looked(request: HttpRequest, user_id: str, subject: str = "") -> None:
    """Record that the operator views an account, or the row `subject` of the account."""
    looks.look(operator_of(request), user_id, subject=subject, now=datetime.now(UTC))


class ActForm(forms.Form):
    """A form for an operator's act. Each `key` takes effect once. `seen`: see stale_forms."""

    # The page makes the key, not the act. So a double click or a reload sends the same key twice.
    key = forms.UUIDField(widget=forms.HiddenInput, initial=uuid4)
    confirmed = forms.BooleanField(required=False, widget=forms.HiddenInput)
    seen = forms.CharField(required=False, strip=False, widget=forms.HiddenInput)

    @property
    def act_key(self) -> UUID:
        """Return the key of a valid form."""
        key: UUID = self.cleaned_data["key"]
        return key

    def renew(self, **changed: str) -> None:
        """Prepare a refused form to be sent again: with another key, and not confirmed."""
        # A refusal may follow the commit of the act (Stripe refuses a refund), so that its key is
        # used. What is corrected has to be previewed again.
        data = self.data.copy()  # type: ignore[attr-defined]
        data.update({"key": str(uuid4()), "confirmed": "", **changed})
        self.data = data


def act(
    request: HttpRequest, form: ActForm, do: Callable[[], str], *, then: str
) -> HttpResponse | None:
    """Run the form's act, show a message, and redirect to `then`.

    `do` runs the act and returns the message. Submitting the form again redirects too. If the act
    raises a DomainError, it is added to the form, which can be sent again, and None is returned.
    """
    try:
        messages.success(request, do())
    # Before DomainError, which it is a subclass of: a form that was sent twice is no error.
    except AlreadyDone as repeat:
        messages.info(request, repeat.text)
    # The page becomes 403 (see `page`). It must not appear as an error of a field that can be
    # corrected.
    except NotPermitted:
        raise
    except DomainError as refusal:
        form.add_error(None, refusal.text)
        form.renew()
        return None
    return redirect(then)
