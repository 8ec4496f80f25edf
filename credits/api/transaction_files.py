"""A user's transactions as CSV files, newest first.

A file has a limited number of rows, so that no request grows with a user's history. The header
`Link` leads to the file with the next older rows, as for the list.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework.request import Request

from credits import spreadsheets
from credits.api.history_serializers import TransactionQuerySerializer
from credits.api.query_fields import QueryInteger
from credits.api.wire_fields import TimestampField
from credits.catalogue import metered_prices
from credits.ledger.history import LARGEST_NUMBER, History, HistoryEntry

ROWS = 10_000
COLUMNS = ("createdAt", "type", "amount", "balanceBefore", "balanceAfter")
TEXT_COLUMNS = ("appId", "description", "id", "units")
FILE_NAME = "mana-credits-transactions.csv"
_time = TimestampField()


class TransactionFileQuerySerializer(TransactionQuerySerializer):
    """The filters of a file of transactions, and where it begins."""

    cursor = QueryInteger(
        min_value=1,
        max_value=LARGEST_NUMBER,
        required=False,
        help_text="Where the file begins, from the header `Link` of the file before.",
    )


def file(request: Request, history: History, *, cursor: int | None) -> HttpResponse:
    """Return up to ROWS transactions before the one numbered `cursor` as a CSV file."""
    # One row more than the file has tells whether an older file follows.
    entries = history.entries(limit=ROWS + 1, cursor=cursor)
    content = "".join(spreadsheets.lines((*COLUMNS, *TEXT_COLUMNS), _rows(entries[:ROWS])))
    response = HttpResponse(
        content,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{FILE_NAME}"'},
    )
    if len(entries) > ROWS:
        response["Link"] = f'<{_next(request, entries[ROWS - 1].number)}>; rel="next"'
    return response


def _rows(entries: Sequence[HistoryEntry]) -> Iterator[tuple[Any, ...]]:
    for one in entries:
        amounts = (one.amount, one.balance_before, one.balance_after)
        at = _time.to_representation(one.created_at)
        units = metered_prices.explanation(one.metering) if one.metering else ""
        yield (at, one.type, *amounts, one.app_id, one.description, one.id, units)


def _next(request: Request, cursor: int) -> str:
    parameters = request.query_params.copy()
    parameters["cursor"] = str(cursor)
    return f"{request.build_absolute_uri(request.path)}?{parameters.urlencode()}"


TRANSACTION_FILE = OpenApiResponse(OpenApiTypes.STR, "The file, with the names of its columns.")
TRANSACTION_FILE_QUERY = TransactionFileQuerySerializer()
