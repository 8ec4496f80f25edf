"""Pages of the rows that acts are about: a subject of the audit trail is `KIND:ID`."""

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from mana_credits.back_office.frame import operator_pages

# The page of a kind of row, with its id in the path.
BY_PATH = {
    "adjustment": "decide",
    "event": "stripe_event",
    "event_message": "event_message",
    "event_subscription": "event_subscription",
    "gift": "gift",
    "gift_campaign": "campaign",
    "grant_campaign": "grant_campaign",
    "message": "message",
    "operation": "operation",
    "package": "package",
    "purchase": "purchase",
    "reservation": "reservation",
    "service_key": "service_key",
    "transaction": "transaction",
    "invalid-codes": "invalid_codes",
}
# The page, and the parameter that has the id.
BY_QUERY = {"operator": ("operator", "name"), "sync": ("sync", "user")}


def address_of_subject(request: HttpRequest, subject: str) -> str:
    """Return the URL of the subject's page, or an empty text if the operator may open none."""
    kind, _, identifier = subject.partition(":")
    page, parameter = BY_QUERY.get(kind) or (BY_PATH.get(kind), "")
    if page is None or not operator_pages.may_open(request, page):
        return ""
    if parameter:
        return reverse(f"admin:{page}", query={parameter: identifier})
    try:
        return reverse(f"admin:{page}", args=[identifier])
    # A new package has a name, and no id yet.
    except NoReverseMatch:
        return ""
