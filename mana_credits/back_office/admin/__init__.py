"""The back office: pages by which operators look and act. No rule lives here."""

from mana_credits.back_office.admin import (
    account_pages,
    adjustment_pages,
    campaign_page,
    catalogue_pages,
    dashboard,
    event_pages,
    export_page,
    gift_lists,
    gift_pages,
    intervention_pages,
    lists,
    operator_account_pages,
    purchase_pages,
    second_factor,
)

__all__ = [
    "account_pages",
    "adjustment_pages",
    "campaign_page",
    "catalogue_pages",
    "dashboard",
    "event_pages",
    "export_page",
    "gift_lists",
    "gift_pages",
    "intervention_pages",
    "lists",
    "operator_account_pages",
    "purchase_pages",
    "second_factor",
]
