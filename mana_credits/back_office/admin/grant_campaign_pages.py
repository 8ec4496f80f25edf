"""Campaigns of grants: the list, a campaign with its progress, the upload, and the result."""

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import reverse

from credits.amounts import counted
from credits.ledger import grant_files
from credits.ledger.campaign_grants import Outcome, State
from credits.ledger.grant_files import GrantFile
from credits.models import CampaignGrant, GrantCampaign
from credits.models.grant_campaigns import NAME_LENGTH, REASON_LENGTH
from credits.spreadsheets import SpreadsheetUnreadable
from mana_credits.back_office.acts import grant_requests
from mana_credits.back_office.acts.grant_requests import GrantsPreview, WantedGrants
from mana_credits.back_office.admin.account_pages import address_of
from mana_credits.back_office.admin.form_fields import LabelField
from mana_credits.back_office.frame import operator_pages, row_pages
from mana_credits.back_office.frame.act_forms import WhyForm
from mana_credits.back_office.frame.read_only_lists import ReadOnlyList, pill

# The preview carries the file in a field of its form: 4/3 of it must fit in MAX_BODY_BYTES.
LARGEST_UPLOAD = 180_000
LINES_SHOWN = 500
ROWS_SHOWN = 100
KEPT = ("key", "name", "reason", "note", "ticket")


class GrantForm(WhyForm):
    """A campaign and its file. The preview's form carries the file in `content`, in Base64."""

    name = LabelField(
        label="Campaign", max_length=NAME_LENGTH, help_text="A user gets it once per campaign."
    )
    reason = LabelField(
        label="Text for the users",
        max_length=REASON_LENGTH,
        help_text="They read it beside the credits.",
    )
    file = forms.FileField(
        required=False,
        help_text="CSV in UTF-8 with the first line user_id,credits or user_id,credits,expires_at. "
        "At most 180 kB, about 4,000 users; for more, use manage.py grant_credits.",
    )
    content = forms.CharField(required=False, widget=forms.HiddenInput)
    leave_out = forms.BooleanField(required=False)
    again = forms.BooleanField(required=False)
    field_order = ("name", "reason", "file", "note", "ticket")

    def clean(self) -> dict[str, Any]:
        """Read the file into `grants`."""
        data: dict[str, Any] = super().clean() or {}
        content = self._content(data.get("file"), data.get("content", ""))
        if not content:
            self.add_error("file", "Choose a file.")
        elif len(content) > LARGEST_UPLOAD:
            self.add_error("file", "The file has more than 180 kB.")
        else:
            try:
                data["grants"] = grant_files.parse(content, "The file")
            except SpreadsheetUnreadable as error:
                self.add_error("file", str(error))
        # A browser does not fill a file field again. Without this, the confirmation would have no
        # file.
        self.kept_content = b64encode(content).decode()
        return data

    def _content(self, file: Any, kept: str) -> bytes:
        if file:
            # One byte more than allowed shows that the file is too large, without reading all of
            # it.
            return bytes(file.read(LARGEST_UPLOAD + 1))
        try:
            return b64decode(kept, validate=True)
        except NotBase64:
            return b""


@admin.register(GrantCampaign)
class GrantCampaigns(ReadOnlyList):
    """Campaigns of grants; a row leads to its page."""

    list_display = ("name", "status", "count", "total", "asked_by", "decided_by", "asked_at")
    titles: ClassVar = {
        "count": "Users",
        "total": "Credits in all",
        "asked_by": "Asked by",
        "decided_by": "Decided by",
        "asked_at": "Asked",
    }
    list_filter = ("state", "asked_by")
    search_help_text = "Part of a name"
    search_fields = ("name",)
    ordering = ("-asked_at",)
    rows_name = "grants to many"
    page = "grant_campaign"
    change_list_template = "back_office/grant_campaigns.html"

    @admin.display(description="state", ordering="state")
    def status(self, campaign: GrantCampaign) -> str:
        """Return the state formatted as on all pages."""
        return pill(campaign.state)


@operator_pages.page(
    "new-grant-campaign/", name="new_grant_campaign", permission=grant_requests.PERMISSION
)
def new_grant_campaign(request: HttpRequest) -> HttpResponse:
    """Upload a file, preview its effect with every refused line, and ask for it."""
    form = GrantForm(request.POST or None, request.FILES or None)
    planned = None
    if form.is_valid():
        planned = grant_requests.preview(
            operator_pages.operator_of(request),
            form.cleaned_data["name"],
            form.cleaned_data["grants"],
            now=datetime.now(UTC),
        )
        if form.cleaned_data["confirmed"] and (done := _confirmed(request, form, planned)):
            return done
    context = {"form": form, "planned": planned, **(_previewed(form, planned) if planned else {})}
    return operator_pages.render(request, "new_grant_campaign.html", "Grant to many", context)


@operator_pages.page(
    "grant-campaign/<uuid:pk>/", name="grant_campaign", permission="credits.view_grantcampaign"
)
def grant_campaign(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show a campaign, its progress and its first rows."""
    campaign = _found(pk)
    rows = CampaignGrant.objects.filter(campaign=campaign).order_by("line")
    counted = rows.values("outcome").annotate(count=Count("*"), sum=Sum("amount")).order_by()
    counts = {row["outcome"]: row["count"] for row in counted}
    posted = campaign.count - counts.get(Outcome.WAITING, 0)
    context = {
        "campaign": campaign,
        "counted": sorted(counted, key=lambda row: Outcome.values.index(row["outcome"])),
        "posted": posted,
        "share": 100 * posted // campaign.count,
        "running": campaign.state == State.RUNNING,
        "own": campaign.asked_by == request.user.get_username(),
        "rows": [(row, address_of(row.user_id)) for row in _shown(rows)],
        "more": sum(counts.values()) - ROWS_SHOWN,
        "actions": row_pages.acts_on(f"grant_campaign:{pk}"),
    }
    return operator_pages.render(request, "grant_campaign.html", campaign.name, context)


@operator_pages.page(
    "grant-campaign/<uuid:pk>/result/",
    name="grant_result",
    permission="credits.view_grantcampaign",
)
def grant_result(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """Send the lines of a campaign's file with their outcomes as CSV."""
    lines = grant_requests.result(operator_pages.operator_of(request), _found(pk))
    return csv_response(lines, f"grants-{pk}.csv")


def _shown(rows: QuerySet[CampaignGrant]) -> list[CampaignGrant]:
    """Return the first rows, those with an explanation before the others."""
    explained = list(rows.exclude(detail="")[:ROWS_SHOWN])
    return [*explained, *rows.filter(detail="")[: ROWS_SHOWN - len(explained)]]


def csv_response(lines: Any, name: str) -> StreamingHttpResponse:
    """Return lines of CSV as a download."""
    return StreamingHttpResponse(
        lines,
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        },
    )


def _found(pk: UUID) -> GrantCampaign:
    found = GrantCampaign.objects.filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def _confirmed(
    request: HttpRequest, form: GrantForm, planned: GrantsPreview
) -> HttpResponse | None:
    # The key of the form becomes the id of the campaign, so that a repeated form leads to the same
    # page.
    there = reverse("admin:grant_campaign", args=(form.act_key,))
    return operator_pages.act(request, form, lambda: _ask(request, form, planned.file), then=there)


def _ask(request: HttpRequest, form: GrantForm, file: GrantFile) -> str:
    data, now = form.cleaned_data, datetime.now(UTC)
    wanted = WantedGrants(
        data["name"], data["reason"], file, leave_out=data["leave_out"], again=data["again"]
    )
    operator = operator_pages.operator_of(request)
    campaign = grant_requests.ask(operator, wanted, why=form.why, key=form.act_key, now=now)
    if campaign.state == State.PENDING:
        return operator_pages.WAITS
    grant_requests.begin(campaign, now=now)
    users = counted(campaign.count, "user")
    return f"{campaign.name}: {counted(campaign.total, 'credit')} to {users}."


def _previewed(form: GrantForm, planned: GrantsPreview) -> dict[str, Any]:
    return {
        "hidden": [(name, form.cleaned_data[name]) for name in KEPT],
        "content": form.kept_content,
        "users": len(planned.file.grants),
        "refused": planned.file.refused[:LINES_SHOWN],
        "refused_count": len(planned.file.refused),
    }
