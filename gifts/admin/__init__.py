"""The back office of gifts: lists, and pages by which operators look and act."""

from django.urls import reverse

from credits import sheets
from credits.office import entries
from gifts.admin import acting, campaigns, lists
from gifts.models import GiftCode

entries.add_look(
    "gifts sent", entries.Look("redeem", lambda row: reverse("admin:gift", args=(row.pk,)))
)
entries.add_look(
    "gifts received",
    entries.Look("redeem", lambda row: reverse("admin:gift", args=(row.gift_code_id,))),
)

# Without codes: whoever has one has the credits.
sheets.add_sheet(
    "gifts",
    sheets.Sheet(
        (
            *("number", "created_at", "creator_id", "total_credits", "type", "status"),
            *("expires_at", "campaign_id", "id"),
        ),
        lambda: GiftCode.objects.order_by("number"),
        user="creator_id",
    ),
)

__all__ = ["acting", "campaigns", "lists"]
