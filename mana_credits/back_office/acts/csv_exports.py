"""Lists as CSV files, streamed so that memory does not grow with the rows."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from credits import spreadsheets
from credits.errors import DomainError
from credits.models import Purchase, StaffAction, Transaction
from credits.postgresql import replica
from gifts.models import GiftCode
from mana_credits.back_office.acts import audit
from mana_credits.back_office.acts.audit import Justification, Operator

ROWS_AT_ONCE = 2_000


class ExportFilter(NamedTuple):
    """The rows of one user, from `since` on, before `until`; each part is optional."""

    user_id: str = ""
    since: datetime | None = None
    until: datetime | None = None


class ExportedList(NamedTuple):
    """A list that can be exported: columns, ordered rows, the columns of time and user."""

    columns: tuple[str, ...]
    rows: Callable[[], QuerySet[Any]]
    at: str = "created_at"
    user: str = "user_id"


class ListUnknown(DomainError):
    """The list does not exist."""

    code = "list_not_found"
    status = 404
    message = "The list does not exist"


def names() -> list[str]:
    """Return the names of the lists."""
    return list(LISTS)


def export(operator: Operator, name: str, chosen: ExportFilter, *, key: UUID) -> Iterator[str]:
    """Record the export, then return the lines of the list.

    Raises NotPermitted, AlreadyDone, ListUnknown.
    """
    if name not in LISTS:
        raise ListUnknown
    why = Justification(
        note=", ".join(f"{what} {value}" for what, value in chosen._asdict().items() if value)
    )
    # Recorded before the first line is sent, because a download may break off at any line.
    with audit.acting(
        operator,
        "credits.export_rows",
        why=why,
        subject=f"export:{name}",
        user_id=chosen.user_id or None,
        key=key,
    ):
        pass
    return _lines(LISTS[name], chosen)


def _lines(listed: ExportedList, chosen: ExportFilter) -> Iterator[str]:
    server = replica.server()
    with transaction.atomic(using=server):  # a cursor on the server lives in a transaction
        rows = _chosen(listed, chosen).using(server).values_list(*listed.columns)
        yield from spreadsheets.lines(listed.columns, rows.iterator(ROWS_AT_ONCE))


def _chosen(listed: ExportedList, chosen: ExportFilter) -> QuerySet[Any]:
    rows = listed.rows()
    if chosen.user_id:
        rows = rows.filter(**{listed.user: chosen.user_id})
    if chosen.since:
        rows = rows.filter(**{f"{listed.at}__gte": chosen.since})
    if chosen.until:
        rows = rows.filter(**{f"{listed.at}__lt": chosen.until})
    return rows


LISTS: Mapping[str, ExportedList] = {
    "transactions": ExportedList(
        (
            *("created_at", "user_id", "number", "type", "amount", "balance_after", "operation"),
            *("quantity", "unit_cost", "metering", "app_id", "description", "actor", "id"),
            "related_id",
        ),
        lambda: Transaction.objects.order_by("user_id", "number"),
    ),
    "purchases": ExportedList(
        (
            *("number", "created_at", "completed_at", "user_id", "package__name", "credits"),
            *("price_euro_cents", "status", "stripe_payment_intent_id", "quarantine_reason", "id"),
        ),
        lambda: Purchase.objects.order_by("number"),
    ),
    "staff-actions": ExportedList(
        (
            *("at", "operator", "action", "user_id", "subject", "reason", "note", "ticket"),
            *("before", "after", "address", "request_id"),
        ),
        lambda: StaffAction.objects.order_by("pk"),
        at="at",
    ),
    # Without codes: a code is as good as its credits.
    "gifts": ExportedList(
        (
            *("number", "created_at", "creator_id", "total_credits", "type", "status"),
            *("expires_at", "campaign_id", "id"),
        ),
        lambda: GiftCode.objects.order_by("number"),
        user="creator_id",
    ),
}
