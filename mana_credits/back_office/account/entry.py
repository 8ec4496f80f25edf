"""A timeline entry, and the window from which a source lists its entries."""

from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import QuerySet


class TimelineEntry(NamedTuple):
    """A timeline entry: time, title, credits and the row behind it.

    `kind` is the source's name, `position` the row's position in it. `amount` is signed, or None if
    no credits moved. `row` is used to render the entry.
    """

    at: datetime
    kind: str
    position: str
    title: str
    row: Any
    amount: Decimal | None = None
    status: str = ""


class EntryWindow(NamedTuple):
    """The part of a source to list: up to `limit` entries after `after`, older than `until`."""

    limit: int
    after: str | None = None
    until: datetime | None = None


def within(
    rows: QuerySet[Any], window: EntryWindow, *, column: str = "pk", at: str = "created_at"
) -> QuerySet[Any]:
    """Return the window's rows by descending `column`. `at` is the column of the time."""
    if window.after is not None:
        rows = rows.filter(**{f"{column}__lt": window.after})
    if window.until is not None:
        rows = rows.filter(**{f"{at}__lt": window.until})
    return rows.order_by(f"-{column}")[: window.limit]
