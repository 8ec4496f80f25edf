"""An account's timeline, newest first: one list merged from many tables.

Each source lists its rows by its own index, starting after a position. A page therefore costs the
same for any length of history.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from credits.models import Purchase
from mana_credits.back_office.account import credit_entries, event_entries, gift_entries
from mana_credits.back_office.account.entry import EntryWindow, TimelineEntry
from mana_credits.back_office.account.event_entries import KIND

# `source(user_id, window)` returns the user's entries within the window, newest first.
Source = Callable[[str, EntryWindow], Iterable[TimelineEntry]]
SOURCES: Mapping[str, Source] = {
    "transactions": credit_entries.transactions,
    "purchases": credit_entries.purchases,
    "returns": credit_entries.returns,
    "reservations": credit_entries.reservations,
    "subscription": credit_entries.subscription,
    "requests": credit_entries.adjustment_requests,
    "staff": credit_entries.staff_actions,
    "gifts sent": gift_entries.sent,
    "gifts received": gift_entries.received,
    KIND: event_entries.of_user,
}

# A purchase brings several events, which would hide what moved credits.
FOLDED = {KIND}


class TimelinePage(NamedTuple):
    """Entries, newest first, and the positions where the next page begins, or None at the end.

    `messages` are Stripe's events by purchase, of the purchases among the entries.
    """

    entries: list[TimelineEntry]
    next: dict[str, str] | None
    messages: Mapping[UUID, list[TimelineEntry]]


def of_purchase(purchase: Purchase) -> list[TimelineEntry]:
    """Return the events of a purchase, newest first."""
    return list(event_entries.of_purchase(purchase))


def kinds() -> list[str]:
    """Return the kinds of entries in the order of their filters."""
    return list(SOURCES)


def page(
    user_id: str,
    *,
    after: Mapping[str, str] | None = None,
    only: Collection[str] = (),
    until: datetime | None = None,
    size: int = 50,
) -> TimelinePage:
    """Return a page of the user's timeline. `after` is the `next` of the previous page.

    `only` restricts the kinds of entries. Without it, Stripe's events are not entries of their own
    but messages of their purchases. `until` restricts the entries to older ones.
    """
    start = dict(after or {})
    chosen = [kind for kind in SOURCES if (kind in only if only else kind not in FOLDED)]
    # Each source gives one entry more than the page has, because all of the page may come from it.
    lists = (
        SOURCES[kind](user_id, EntryWindow(size + 1, start.get(kind), until)) for kind in chosen
    )
    merged = merge(*lists, key=lambda entry: entry.at, reverse=True)
    found = list(islice(merged, size + 1))
    shown = found[:size]
    # A source continues after its last entry on this page, not after its last one that was read.
    for entry in shown:
        start[entry.kind] = entry.position
    bought = [entry.row for entry in shown if entry.kind == "purchases"]
    messages = {} if KIND in only else event_entries.by_purchase(bought)
    return TimelinePage(shown, start if len(found) > size else None, messages)
