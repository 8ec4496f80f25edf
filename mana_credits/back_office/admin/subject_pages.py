"""Pages of the rows that acts are about: a subject of the audit trail is `KIND:ID`."""

from django.urls import NoReverseMatch, reverse

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


def address_of_subject(subject: str) -> str:
    """Return the URL of the subject's page, or an empty text if it has none."""
    kind, _, identifier = subject.partition(":")
    if kind in BY_QUERY:
        page, parameter = BY_QUERY[kind]
        return reverse(f"admin:{page}", query={parameter: identifier})
    try:
        return reverse(f"admin:{BY_PATH[kind]}", args=[identifier])
    # A new package has a name, and no id yet.
    except (KeyError, NoReverseMatch):
        return ""
