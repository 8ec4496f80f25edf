"""Timeline entries of Stripe events: of a user's purchases, or of one purchase."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from credits.models import Purchase
from mana_credits.back_office.account.entry import EntryWindow, TimelineEntry
from webhooks.models import StripeEvent

KIND = "events"
MOST = 100


def of_user(user_id: str, window: EntryWindow) -> Iterable[TimelineEntry]:
    """Return the events of the user's purchases within the window, newest first."""
    rows = StripeEvent.objects.filter(purchase__user_id=user_id)
    if window.after is not None:
        # Events have no number, and several may arrive at the same moment. The id decides between
        # them.
        moment, _, event_id = window.after.partition(" ")
        at = datetime.fromisoformat(moment)
        rows = rows.filter(Q(received_at__lt=at) | Q(received_at=at, pk__lt=event_id))
    if window.until is not None:
        rows = rows.filter(received_at__lt=window.until)
    return _entries(rows, window.limit)


def of_purchase(purchase: Purchase) -> Iterable[TimelineEntry]:
    """Return the newest 100 events of a purchase, newest first."""
    return _entries(StripeEvent.objects.filter(purchase=purchase), MOST)


def by_purchase(purchases: Iterable[Purchase]) -> dict[UUID, list[TimelineEntry]]:
    """Return the newest events of each purchase that has any, newest first, in one query."""
    wanted = list(purchases)
    found: dict[UUID, list[TimelineEntry]] = {}
    if wanted:
        rows = StripeEvent.objects.filter(purchase__in=wanted)
        for entry in _entries(rows, MOST * len(wanted)):
            found.setdefault(entry.row.purchase_id, []).append(entry)
    return found


def _entries(rows: QuerySet[StripeEvent], limit: int) -> Iterable[TimelineEntry]:
    # A payload has up to 8 MiB, and the timeline shows none of it.
    for row in rows.defer("payload").order_by("-received_at", "-pk")[:limit]:
        position = f"{row.received_at.isoformat()} {row.pk}"
        status = row.outcome or ("failed" if row.error else "pending")
        yield TimelineEntry(row.received_at, KIND, position, row.type, row, status=status)
