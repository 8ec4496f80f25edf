"""What happened on an account, newest first: one list out of many tables.

Each source lists its own rows by its own index and continues after a position in it, so a page
costs the same however long the account's history is. Other apps add their sources.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet

from credits.history import History
from credits.models import (
    AdjustmentRequest,
    Purchase,
    Reservation,
    Return,
    StaffAction,
    SyncSubscription,
)


class Entry(NamedTuple):
    """One thing that happened: when, what in words, how many credits, and the row behind it.

    `kind` is the source's name, `position` the row's place in it; `amount` is signed where credits
    moved. `row` is for whoever shows it.
    """

    at: datetime
    kind: str
    position: str
    title: str
    row: Any
    amount: Decimal | None = None
    status: str = ""


class Page(NamedTuple):
    """Entries, newest first, and the positions where the next page begins; None at the end."""

    entries: list[Entry]
    next: dict[str, str] | None


class Window(NamedTuple):
    """Which entries of a source: up to `limit`, behind the position `after`, older than `until`."""

    limit: int
    after: str | None = None
    until: datetime | None = None


Source = Callable[[str, Window], Iterable[Entry]]
PurchaseSource = Callable[[Purchase], Iterable[Entry]]
_sources: dict[str, Source] = {}
_of_purchases: list[PurchaseSource] = []


def add_source(kind: str, source: Source) -> None:
    """Let timelines also tell of `kind`.

    `source(user_id, window)` returns the user's entries within the window, newest first.
    """
    _sources[kind] = source


def add_to_purchases(source: PurchaseSource) -> None:
    """Let purchases also tell of what `source(purchase)` returns."""
    _of_purchases.append(source)


def of_purchase(purchase: Purchase) -> list[Entry]:
    """Return what other apps tell of a purchase, newest first."""
    told = [entry for source in _of_purchases for entry in source(purchase)]
    return sorted(told, key=lambda entry: entry.at, reverse=True)


def kinds() -> list[str]:
    """Return what a timeline can tell of."""
    return list(_sources)


def page(
    user_id: str,
    *,
    after: Mapping[str, str] | None = None,
    only: Collection[str] = (),
    until: datetime | None = None,
    size: int = 50,
) -> Page:
    """Return a page of the user's timeline; `after` is the `next` of the page before.

    Of the kinds `only`, or of all; older than `until`, or from the newest on.
    """
    start = dict(after or {})
    chosen = [kind for kind in _sources if not only or kind in only]
    lists = (_sources[kind](user_id, Window(size + 1, start.get(kind), until)) for kind in chosen)
    merged = merge(*lists, key=lambda entry: entry.at, reverse=True)
    found = list(islice(merged, size + 1))
    shown = found[:size]
    for entry in shown:
        start[entry.kind] = entry.position
    return Page(shown, start if len(found) > size else None)


def within(
    rows: QuerySet[Any], window: Window, *, column: str = "pk", at: str = "created_at"
) -> QuerySet[Any]:
    """Return the rows of a window by a falling `column`, the moment standing in the column `at`."""
    if window.after is not None:
        rows = rows.filter(**{f"{column}__lt": window.after})
    if window.until is not None:
        rows = rows.filter(**{f"{at}__lt": window.until})
    return rows.order_by(f"-{column}")[: window.limit]


def _transactions(user_id: str, window: Window) -> Iterable[Entry]:
    filters = {"created_at__lt": window.until} if window.until else {}
    cursor = None if window.after is None else int(window.after)
    for row in History(user_id, filters).page(limit=window.limit, cursor=cursor):
        title = row.description or row.get_type_display()
        yield Entry(
            row.created_at, "transactions", str(row.number), title, row, row.amount, row.type
        )


def _purchases(user_id: str, window: Window) -> Iterable[Entry]:
    rows = Purchase.objects.filter(user_id=user_id).select_related("package")
    for row in within(rows, window, column="number"):
        euros = f"{row.price_euro_cents / 100:.2f}"
        title = f"{row.package.name}: {row.credits.normalize():f} credits for {euros} EUR"
        yield Entry(row.created_at, "purchases", str(row.number), title, row, status=row.status)


def _returns(user_id: str, window: Window) -> Iterable[Entry]:
    payments = Purchase.objects.filter(user_id=user_id, stripe_payment_intent_id__isnull=False)
    rows = Return.objects.filter(
        stripe_payment_intent_id__in=payments.values("stripe_payment_intent_id")
    )
    for row in within(rows, window):
        title = f"{row.get_kind_display()} of {row.amount_cents / 100:.2f} EUR"
        yield Entry(row.created_at, "returns", str(row.pk), title, row, status=row.state)


def _reservations(user_id: str, window: Window) -> Iterable[Entry]:
    # A committed one is told by its transaction.
    rows = Reservation.objects.filter(~Q(status=Reservation.Status.COMMITTED), user_id=user_id)
    for row in within(rows, window):
        title = f"{row.amount.normalize():f} credits held: {row.reason}"
        yield Entry(row.created_at, "reservations", str(row.pk), title, row, status=row.status)


def _staff_actions(user_id: str, window: Window) -> Iterable[Entry]:
    rows = StaffAction.objects.filter(user_id=user_id)
    for row in within(rows, window, at="at"):
        action = row.action.partition(".")[2] or row.action
        title = f"{row.operator}: {action.replace('_', ' ')}"
        yield Entry(row.at, "staff", str(row.pk), title, row)


def _adjustment_requests(user_id: str, window: Window) -> Iterable[Entry]:
    rows = AdjustmentRequest.objects.filter(user_id=user_id)
    for row in within(rows, window, at="requested_at"):
        title = f"{row.requested_by} asked for {row.amount.normalize():+f} credits"
        yield Entry(row.requested_at, "requests", str(row.pk), title, row, status=row.status)


def _subscription(user_id: str, window: Window) -> Iterable[Entry]:
    row = SyncSubscription.objects.filter(pk=user_id).first()
    if row and window.after is None and (not window.until or row.updated_at < window.until):
        status = "active" if row.active else "paused" if row.paused_at else "off"
        title = f"Cloud Sync, {row.get_interval_display().lower()}"
        yield Entry(row.updated_at, "subscription", "1", title, row, status=status)


add_source("transactions", _transactions)
add_source("purchases", _purchases)
add_source("returns", _returns)
add_source("reservations", _reservations)
add_source("subscription", _subscription)
add_source("requests", _adjustment_requests)
add_source("staff", _staff_actions)
