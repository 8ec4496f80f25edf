"""Pages of staff accounts."""

from collections.abc import Callable
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import urlencode
from django_otp.plugins.otp_totp.models import TOTPDevice

from credits import roles
from mana_credits.back_office.acts import operator_accounts
from mana_credits.back_office.acts.audit import Operator
from mana_credits.back_office.acts.operator_accounts import OperatorUnknown
from mana_credits.back_office.frame import operator_pages, row_pages
from mana_credits.back_office.frame.row_pages import ShownRow
from mana_credits.back_office.templatetags.office import moment

# Accounts are changed only through the pages below. The secret of a second factor is never shown.
admin.site.unregister([User, Group, TOTPDevice])

ROLES = [(role, role) for role in roles.ALL]
PERMISSION = operator_accounts.PERMISSION


class RolesForm(operator_pages.ActForm):
    """Roles of an operator."""

    roles = forms.MultipleChoiceField(choices=ROLES, widget=forms.CheckboxSelectMultiple)


class PasswordForm(operator_pages.ActForm):
    """A new password; the operator learns it through another channel."""

    password = forms.CharField(
        min_length=settings.SHORTEST_PASSWORD,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=f"At least {settings.SHORTEST_PASSWORD} characters. "
        "Ask the operator to change it after the log-in.",
    )


class NewOperatorForm(RolesForm, PasswordForm):
    """A new operator."""

    name = forms.CharField(label="Name for the log-in", max_length=150)
    email = forms.EmailField(required=False)
    field_order = ("name", "email", "roles", "password")


@operator_pages.page("staff/", name="people", permission=PERMISSION)
def operators(request: HttpRequest) -> HttpResponse:
    """List all operators."""
    found = list(operator_accounts.operators())
    with_device = set(TOTPDevice.objects.filter(confirmed=True).values_list("user_id", flat=True))
    listed = [
        (
            user,
            ", ".join(operator_accounts.roles_of(user)),
            user.pk in with_device,
            _address(user.username),
        )
        for user in found
    ]
    return operator_pages.render(request, "people.html", "Operators", {"operators": listed})


@operator_pages.page("staff/new/", name="new_operator", permission=PERMISSION)
def new_operator(request: HttpRequest) -> HttpResponse:
    """Create an account."""
    form = NewOperatorForm(request.POST or None)

    def do() -> str:
        data = form.cleaned_data
        operator_accounts.create(
            operator_pages.operator_of(request),
            data["name"],
            email=data["email"],
            chosen=data["roles"],
            password=data["password"],
            key=form.act_key,
        )
        return f"{data['name']} can log in now."

    row = ShownRow("A new operator", "", reverse("admin:people"), [])
    return row_pages.act_on(request, lambda: row, form, "Create account", do)


@operator_pages.page("staff/operator/", name="operator", permission=PERMISSION)
def operator(request: HttpRequest) -> HttpResponse:
    """Show an operator."""
    return row_pages.show(request, _row(request, _found(request)))


@operator_pages.page("staff/roles/", name="operator_roles", permission=PERMISSION)
def change_roles(request: HttpRequest) -> HttpResponse:
    """Choose an operator's roles."""
    user = _found(request)
    form = RolesForm(request.POST or None, initial={"roles": operator_accounts.roles_of(user)})

    def do() -> str:
        operator_accounts.set_roles(
            operator_pages.operator_of(request),
            user.username,
            form.cleaned_data["roles"],
            key=form.act_key,
        )
        return "The new roles apply now."

    return row_pages.act_on(
        request, lambda: _row(request, _found(request)), form, "Change roles", do
    )


@operator_pages.page("staff/password/", name="operator_password", permission=PERMISSION)
def change_password(request: HttpRequest) -> HttpResponse:
    """Set an operator's password."""
    user = _found(request)
    form = PasswordForm(request.POST or None)

    def do() -> str:
        operator_accounts.set_password(
            operator_pages.operator_of(request),
            user.username,
            form.cleaned_data["password"],
            key=form.act_key,
        )
        return "The password is changed. The operator is signed out everywhere."

    return row_pages.act_on(
        request, lambda: _row(request, _found(request)), form, "Set the password", do
    )


@operator_pages.page("staff/second-factor/", name="operator_factor", permission=PERMISSION)
def reset_second_factor(request: HttpRequest) -> HttpResponse:
    """Delete a lost authenticator."""
    return _act(
        request,
        "Reset the second factor",
        "The next log-in sets up a new authenticator.",
        operator_accounts.reset_second_factor,
    )


@operator_pages.page("staff/deactivate/", name="operator_off", permission=PERMISSION)
def deactivate(request: HttpRequest) -> HttpResponse:
    """Deactivate an operator's account."""

    def off(by: Operator, name: str, *, key: UUID) -> User:
        return operator_accounts.set_active(by, name, False, key=key)

    return _act(
        request, "Deactivate account", "The account is closed, its sessions have ended.", off
    )


@operator_pages.page("staff/activate/", name="operator_on", permission=PERMISSION)
def activate(request: HttpRequest) -> HttpResponse:
    """Activate an operator's account."""

    def on(by: Operator, name: str, *, key: UUID) -> User:
        return operator_accounts.set_active(by, name, True, key=key)

    return _act(request, "Activate account", "The account is open again.", on)


def _act(request: HttpRequest, verb: str, done: str, act: Callable[..., User]) -> HttpResponse:
    user = _found(request)
    form = operator_pages.ActForm(request.POST or None)

    def do() -> str:
        act(operator_pages.operator_of(request), user.username, key=form.act_key)
        return done

    return row_pages.act_on(request, lambda: _row(request, _found(request)), form, verb, do)


def _found(request: HttpRequest) -> User:
    try:
        return operator_accounts.find(request.GET.get("name", "").replace("\0", ""))
    except OperatorUnknown as error:
        raise Http404 from error


def _address(name: str, page: str = "operator") -> str:
    return f"{reverse(f'admin:{page}')}?{urlencode({'name': name})}"


def _row(request: HttpRequest, user: User) -> ShownRow:
    own = user.username == request.user.get_username()
    switch = ("Deactivate", "operator_off") if user.is_active else ("Activate", "operator_on")
    acts = (
        ("Change roles", "operator_roles"),
        ("Set password", "operator_password"),
        ("Reset second factor", "operator_factor"),
        switch,
    )
    return ShownRow(
        user.username,
        f"operator:{user.username}",
        _address(user.username),
        [
            ("Roles", ", ".join(operator_accounts.roles_of(user))),
            ("E-mail", user.email),
            ("Last log-in", moment(user.last_login)),
            *([("Changes", "only by another administrator")] if own else []),
        ],
        locked=User.objects.filter(pk=user.pk),
        # A log-in of the operator must not make a colleague's form stale.
        passing=("Last log-in",),
        status="active" if user.is_active else "deactivated",
        # Nobody changes their own account here: an administrator who removed their own role could
        # not restore it.
        acts=() if own else tuple((verb, _address(user.username, page)) for verb, page in acts),
    )
