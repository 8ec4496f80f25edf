"""Events on the timeline of an account."""

from collections.abc import Iterable

from django.db.models import Q

from credits.timeline import Entry, Window
from webhooks.models import StripeEvent


def of_account(user_id: str, window: Window) -> Iterable[Entry]:
    """Return the events of the user's purchases; several may be of one second."""
    rows = StripeEvent.objects.filter(purchase__user_id=user_id)
    if window.after is not None:
        at, _, event_id = window.after.partition(" ")
        rows = rows.filter(Q(created_at__lt=at) | Q(created_at=at, pk__lt=event_id))
    if window.until is not None:
        rows = rows.filter(created_at__lt=window.until)
    for row in rows.order_by("-created_at", "-pk")[: window.limit]:
        status = row.outcome or ("failed" if row.error else "pending")
        position = f"{row.created_at.isoformat()} {row.pk}"
        yield Entry(row.created_at, "events", position, row.type, row, status=status)
