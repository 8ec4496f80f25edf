"""Numbers beside the entries of the menu; nothing where there is nothing to do."""

from django.http import HttpRequest

from credits import adjusting


def pending_approvals(request: HttpRequest) -> str:
    """Return how many adjustments wait for a second person."""
    return str(adjusting.pending() or "")
