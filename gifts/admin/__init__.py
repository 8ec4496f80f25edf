"""The back office of gifts: lists, and pages by which operators look and act."""

from django.urls import reverse

from credits.office import entries
from gifts.admin import acting, lists

entries.add_look(
    "gifts sent", entries.Look("redeem", lambda row: reverse("admin:gift", args=(row.pk,)))
)
entries.add_look(
    "gifts received",
    entries.Look("redeem", lambda row: reverse("admin:gift", args=(row.gift_code_id,))),
)

__all__ = ["acting", "lists"]
