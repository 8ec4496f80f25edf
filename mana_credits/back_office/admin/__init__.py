"""Pages and lists of the back office. Rules live in the domain, not here."""

from mana_credits.back_office.admin import (
    account_pages,
    adjustment_pages,
    approval_pages,
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
    service_key_pages,
)

__all__ = [
    "account_pages",
    "adjustment_pages",
    "approval_pages",
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
    "service_key_pages",
]
