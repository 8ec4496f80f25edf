"""A campaign's page: the states of its codes."""

from datetime import UTC, datetime
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from gifts import campaigns
from gifts.models import Campaign, GiftCode
from mana_credits.back_office.admin.account_pages import address_of
from mana_credits.back_office.frame import operator_pages
from mana_credits.back_office.templatetags.office import amount, moment


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
            ("By", found.actor),
            ("Because", found.reason),
            ("Expires", moment(found.expires_at)),
        ],
        "account": address_of(found.account_id),
        "gifts": f"{gifts}?{urlencode({'campaign': name})}",
    }
    return operator_pages.render(request, "campaign.html", "Campaign", context)
