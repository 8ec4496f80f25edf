"""Pages of service keys."""

from datetime import UTC, datetime, time, timedelta
from typing import ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from credits.amounts import DIGITS, PLACES, counted
from internal_api import scopes
from internal_api.models import NAME_LENGTH, ServiceKey
from internal_api.service_keys import KeyTerms
from mana_credits.back_office.acts import service_key_changes
from mana_credits.back_office.frame import operator_pages, row_pages, secret_pages
from mana_credits.back_office.frame.act_forms import WhyForm
from mana_credits.back_office.frame.read_only_lists import ReadOnlyList
from mana_credits.back_office.frame.row_pages import ShownRow
from mana_credits.back_office.templatetags.office import moment

TITLE = "Service key"
PERMISSION = service_key_changes.PERMISSION
VIEW = "internal_api.view_servicekey"
CAPS = {
    "daily_grants": "Grants per day",
    "daily_refunds": "Refunds per day without a usage",
    "daily_spend_per_user": "Spending per day and user",
}
HOURS_IN_A_MONTH = 24 * 31


def _cap(label: str) -> forms.DecimalField:
    return forms.DecimalField(
        label=f"{label}, in credits",
        max_digits=DIGITS,
        decimal_places=PLACES,
        min_value=0,
        required=False,
        help_text="Empty for no limit. Days are UTC days.",
    )


class KeyForm(WhyForm):
    """A new service key."""

    name = forms.CharField(max_length=NAME_LENGTH, help_text="The actor of its transactions.")
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in scopes.ALL], widget=forms.CheckboxSelectMultiple
    )
    daily_grants = _cap(CAPS["daily_grants"])
    daily_refunds = _cap(CAPS["daily_refunds"])
    daily_spend_per_user = _cap(CAPS["daily_spend_per_user"])
    expires = forms.DateField(
        required=False, help_text="The UTC day on which it expires, such as 2026-12-31."
    )
    field_order = ("name", "scopes", *CAPS, "expires", "note", "ticket")

    def terms(self) -> KeyTerms:
        """Return the terms of a valid form."""
        data = self.cleaned_data
        expires = data["expires"]
        return KeyTerms(
            scopes=data["scopes"],
            **{cap: data[cap] for cap in CAPS},
            expires_at=datetime.combine(expires, time.min, UTC) if expires else None,
        )


class RotateForm(WhyForm):
    """The time for which the old key stays valid."""

    hours = forms.IntegerField(
        label="Hours of overlap",
        min_value=0,
        max_value=HOURS_IN_A_MONTH,
        initial=24,
        help_text="For these hours the old key stays valid.",
    )
    field_order = ("hours", "note", "ticket")


@admin.register(ServiceKey)
class ServiceKeys(ReadOnlyList):
    """Service keys."""

    list_display = ("name", "prefix", "created_at", "last_used_at", "expires_at", "revoked_at")
    titles: ClassVar = {
        "prefix": "Begins with",
        "created_at": "Since",
        "last_used_at": "Last used",
        "expires_at": "Until",
        "revoked_at": "Revoked",
    }
    search_help_text = "Name or beginning"
    search_fields = ("name__exact", "prefix__exact")
    ordering = ("-id",)
    page = "service_key"
    change_list_template = "back_office/service_keys.html"


@operator_pages.page("service-key/<uuid:pk>/", name="service_key", permission=VIEW)
def service_key(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show a key with its scopes and the operators' acts on it."""
    return row_pages.show(request, _row(request, pk))


@operator_pages.page("service-key/new/", name="new_service_key", permission=PERMISSION)
def new_service_key(request: HttpRequest) -> HttpResponse:
    """Create a key and show its secret once."""
    form = KeyForm(request.POST or None)
    row = ShownRow("New service key", "", reverse("admin:internal_api_servicekey_changelist"), [])

    def create() -> tuple[ShownRow, str]:
        operator = operator_pages.operator_of(request)
        name = form.cleaned_data["name"]
        key, secret = service_key_changes.create(operator, name, form.terms(), **form.how)
        return _row(request, key.pk), secret

    return secret_pages.show_once(request, lambda: row, form, "Create key", create, title=TITLE)


@operator_pages.page(
    "service-key/<uuid:pk>/rotate/", name="rotate_service_key", permission=PERMISSION
)
def rotate_service_key(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Replace a key and show the new secret once."""
    form = RotateForm(request.POST or None)

    def rotate() -> tuple[ShownRow, str]:
        operator = operator_pages.operator_of(request)
        overlap = timedelta(hours=form.cleaned_data["hours"])
        key, secret = service_key_changes.rotate(operator, pk, overlap=overlap, **form.how)
        return _row(request, key.pk), secret

    def read() -> ShownRow:
        return _row(request, pk)

    return secret_pages.show_once(request, read, form, "Rotate key", rotate, title=TITLE)


@operator_pages.page(
    "service-key/<uuid:pk>/revoke/", name="revoke_service_key", permission=PERMISSION
)
def revoke_service_key(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Revoke a key."""
    form = WhyForm(request.POST or None)

    def do() -> str:
        service_key_changes.revoke(operator_pages.operator_of(request), pk, **form.how)
        return "The key is revoked. Every process refuses it within 10 seconds."

    return row_pages.act_on(request, lambda: _row(request, pk), form, "Revoke key", do)


def _row(request: HttpRequest, pk: UUID) -> ShownRow:
    key = ServiceKey.objects.filter(pk=pk).first()
    if key is None:
        raise Http404
    now = datetime.now(UTC)
    expired = key.expires_at is not None and key.expires_at <= now
    status = "revoked" if key.revoked_at else "expired" if expired else "active"
    acts = (("Rotate", "rotate_service_key"), ("Revoke", "revoke_service_key"))
    may = status == "active" and request.user.has_perm(PERMISSION)
    return ShownRow(
        f"Service key {key.name}, {key.prefix}…",
        service_key_changes.subject(key),
        reverse("admin:service_key", args=[pk]),
        [
            ("Scopes", ", ".join(key.scopes)),
            *((label, _limit(key, cap)) for cap, label in CAPS.items()),
            ("Created", f"{moment(key.created_at)} by {key.created_by}"),
            ("Last used", moment(key.last_used_at)),
            ("Expires", moment(key.expires_at)),
            ("Revoked", moment(key.revoked_at)),
        ],
        locked=ServiceKey.objects.filter(pk=pk),
        # The last use changes all the time, and must not make a form stale.
        passing=("Last used",),
        status=status,
        acts=tuple((verb, reverse(f"admin:{page}", args=[pk])) for verb, page in acts if may),
    )


def _limit(key: ServiceKey, cap: str) -> str:
    return counted(key.caps[cap], "credit") if cap in key.caps else "no limit"
