"""Campaigns of gift codes: their pages, new ones, and the download of the codes."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse

from credits.amounts import DIGITS, PLACES, counted
from credits.errors import DomainError
from credits.models import ActRequest
from gifts import campaigns
from gifts.codes import DEFAULT_VALIDITY, LONGEST_VALIDITY
from gifts.display_name import NAME_LENGTH
from gifts.models import (
    CAMPAIGN_LENGTH,
    LARGEST_GIFT,
    MESSAGE_LENGTH,
    SMALLEST_GIFT,
    Campaign,
    GiftCode,
)
from mana_credits.back_office.acts import gift_campaigns
from mana_credits.back_office.acts.audit import NotPermitted, Operator
from mana_credits.back_office.acts.gift_campaigns import WantedCodes
from mana_credits.back_office.admin.account_pages import address_of
from mana_credits.back_office.admin.form_fields import LabelField, UserIdField
from mana_credits.back_office.admin.grant_campaign_pages import csv_response
from mana_credits.back_office.frame import operator_pages, row_pages
from mana_credits.back_office.frame.act_forms import WhyForm
from mana_credits.back_office.frame.row_pages import ShownRow
from mana_credits.back_office.templatetags.office import actor, amount, moment

MOST_CODES = 100_000


class CampaignForm(WhyForm):
    """A campaign of gift codes. Either an account pays, or the operator grants for a reason."""

    name = LabelField(label="Campaign", max_length=CAMPAIGN_LENGTH)
    count = forms.IntegerField(label="Number of codes", min_value=1, max_value=MOST_CODES)
    credits = forms.DecimalField(
        label="Credits in each code",
        max_digits=DIGITS,
        decimal_places=PLACES,
        min_value=SMALLEST_GIFT,
        max_value=LARGEST_GIFT,
    )
    days = forms.IntegerField(
        label="Days until the codes expire",
        min_value=1,
        max_value=LONGEST_VALIDITY.days,
        initial=DEFAULT_VALIDITY.days,
    )
    message = forms.CharField(
        max_length=MESSAGE_LENGTH,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Those who redeem a code read it.",
    )
    creator_name = LabelField(label="From", max_length=NAME_LENGTH, required=False)
    account_id = UserIdField(
        label="Paid from the account", required=False, help_text="Empty: the credits are granted."
    )
    reason = LabelField(
        label="Reason of the grant",
        max_length=500,
        required=False,
        help_text="Needed if no account pays.",
    )
    field_order = (
        *("name", "count", "credits", "days", "message", "creator_name"),
        *("account_id", "reason", "note", "ticket"),
    )

    def clean(self) -> dict[str, Any]:
        """Require an account or a reason, and a giver's name that is not an e-mail address."""
        data: dict[str, Any] = super().clean() or {}
        if bool(data.get("account_id")) == bool(data.get("reason")):
            self.add_error("reason", "Give either an account that pays, or a reason.")
        if "@" in data.get("creator_name", ""):
            self.add_error("creator_name", "Enter a name, not an e-mail address.")
        return data

    def wanted(self) -> WantedCodes:
        """Return the campaign of a valid form."""
        data = self.cleaned_data
        texts = ("account_id", "reason", "message", "creator_name")
        return WantedCodes(
            data["name"],
            data["count"],
            data["credits"],
            data["days"],
            **{name: data[name] or None for name in texts},
        )


@operator_pages.page(
    "new-gift-campaign/", name="new_gift_campaign", permission=gift_campaigns.PERMISSION
)
def new_gift_campaign(request: HttpRequest) -> HttpResponse:
    """Fill in a campaign, preview its effect, and ask for it."""
    there = reverse("admin:gifts_campaign_changelist")
    row = ShownRow("A new campaign of gift codes", "", there, [])
    form = CampaignForm(request.POST or None)
    operator = operator_pages.operator_of(request)

    def do() -> str:
        now = datetime.now(UTC)
        wanted = form.wanted()
        made = gift_campaigns.ask(operator, wanted, why=form.why, key=form.act_key, now=now)
        if isinstance(made, ActRequest):
            return operator_pages.WAITS
        # After the act has committed: codes are created in batches, and each batch commits.
        gift_campaigns.begin(made, now=now)
        codes = counted(wanted.codes, "code")
        return f"{wanted.name}: {codes} of {counted(wanted.credits, 'credit')}."

    def preview() -> row_pages.Facts:
        return _facts_of(form.wanted(), operator)

    return row_pages.act_on(request, lambda: row, form, "Create codes", do, preview)


@operator_pages.page(
    "campaign-codes/<path:name>/", name="campaign_codes", permission=gift_campaigns.VIEW_CODES
)
def campaign_codes(request: HttpRequest, name: str) -> HttpResponseBase:
    """Send the codes of a campaign as CSV, once."""
    found = Campaign.objects.filter(pk=name).first()
    if found is None:
        raise Http404
    form = operator_pages.ActForm(request.POST or None)
    facts = [("Codes", found.count), ("Credits in each code", amount(found.credits))]
    row = ShownRow(f"Codes of {name}", "", reverse("admin:campaign", args=(name,)), facts)
    if form.is_valid():
        operator = operator_pages.operator_of(request)
        try:
            lines = gift_campaigns.take_codes(
                operator, name, key=form.act_key, now=datetime.now(UTC)
            )
        # NotPermitted is a DomainError, too, but becomes a 403 (see `operator_pages.page`).
        except NotPermitted:
            raise
        except DomainError as refusal:
            form.add_error(None, refusal.text)
        else:
            return csv_response(lines, "gift-codes.csv")
    context = {"row": row, "form": form, "campaign": found}
    return operator_pages.render(request, "campaign_codes.html", "Download codes", context)


@operator_pages.page("campaign/<path:name>/", name="campaign", permission="gifts.view_campaign")
def campaign(request: HttpRequest, name: str) -> HttpResponse:
    """Show a campaign and how many of its codes are redeemed, open, expired or cancelled."""
    found = Campaign.objects.filter(pk=name).first()
    if found is None:
        raise Http404
    made = campaigns.codes_by_status(found, now=datetime.now(UTC))
    gifts = reverse("admin:gifts_giftcode_changelist")
    context = {
        "campaign": found,
        "redeemed": made.get(GiftCode.Status.DEPLETED, 0),
        "counted": [
            (status, count, f"{gifts}?{urlencode({'campaign': name, 'status': status})}")
            for status, count in made.items()
        ],
        "facts": [
            ("Credits in each code", amount(found.credits)),
            ("Message", found.message),
            ("From", found.creator_name),
            ("Made", moment(found.created_at)),
            ("By", actor(found.actor)),
            ("Because", found.reason),
            ("Expires", moment(found.expires_at)),
            ("Codes downloaded by", found.codes_taken_by),
        ],
        "account": address_of(found.account_id),
        "missing": found.count - sum(made.values()),
        "takes_codes": found.made_at and not found.codes_taken_at,
        "actions": row_pages.acts_on(f"gift_campaign:{name}"),
        "gifts": f"{gifts}?{urlencode({'campaign': name})}",
    }
    return operator_pages.render(request, "campaign.html", "Campaign", context)


def _facts_of(wanted: WantedCodes, operator: Operator) -> row_pages.Facts:
    waits = gift_campaigns.needs_approval(operator, wanted, now=datetime.now(UTC))
    payer = wanted.account_id or f"granted: {wanted.reason}"
    return [
        ("Campaign", wanted.name),
        ("Codes", f"{wanted.codes:,} of {counted(wanted.credits, 'credit')}"),
        ("Together", counted(wanted.total, "credit")),
        ("Paid", payer),
        ("Message", wanted.message or "none"),
        ("Expire after", counted(wanted.days, "day")),
        ("Approval", "A colleague has to approve it" if waits else "Within your limit"),
    ]
