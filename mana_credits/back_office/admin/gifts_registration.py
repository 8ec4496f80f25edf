"""The back office of gifts: lists, and pages by which operators look and act."""

from django.urls import reverse

from gifts.models import GiftCode
from mana_credits.back_office.acts import csv_exports
from mana_credits.back_office.frame import timeline_styles

timeline_styles.add_look(
    "gifts sent", timeline_styles.Look("redeem", lambda row: reverse("admin:gift", args=(row.pk,)))
)
timeline_styles.add_look(
    "gifts received",
    timeline_styles.Look("redeem", lambda row: reverse("admin:gift", args=(row.gift_code_id,))),
)

# Without codes: whoever has one has the credits.
csv_exports.add_sheet(
    "gifts",
    csv_exports.Sheet(
        (
            *("number", "created_at", "creator_id", "total_credits", "type", "status"),
            *("expires_at", "campaign_id", "id"),
        ),
        lambda: GiftCode.objects.order_by("number"),
        user="creator_id",
    ),
)
