"""One entry of a timeline, and the window of rows from which a source lists its entries."""

from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import QuerySet


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


class Window(NamedTuple):
    """Which entries of a source: up to `limit`, behind the position `after`, older than `until`."""

    limit: int
    after: str | None = None
    until: datetime | None = None


def within(
    rows: QuerySet[Any], window: Window, *, column: str = "pk", at: str = "created_at"
) -> QuerySet[Any]:
    """Return the rows of a window by a falling `column`, the moment standing in the column `at`."""
    if window.after is not None:
        rows = rows.filter(**{f"{column}__lt": window.after})
    if window.until is not None:
        rows = rows.filter(**{f"{at}__lt": window.until})
    return rows.order_by(f"-{column}")[: window.limit]
