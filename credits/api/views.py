"""Views of the user's own credits (`/api/v1/credits`, user token)."""

from datetime import UTC, datetime
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from credits import ledger
from credits.api import transaction_files
from credits.api.account_views import ChangesAccount
from credits.api.history_serializers import (
    TRANSACTION_QUERY,
    USAGE_QUERY,
    USAGE_STAT,
    TransactionQuerySerializer,
    UsageQuerySerializer,
    UsageStatSerializer,
)
from credits.api.openapi import operation
from credits.api.serializers import (
    BALANCE,
    OPEN_RESERVATION,
    TRANSACTION,
    USE,
    USED,
    BalanceSerializer,
    OpenReservationSerializer,
    TransactionSerializer,
    UseCreditsResponseSerializer,
    UseCreditsSerializer,
)
from credits.api.transaction_files import (
    TRANSACTION_FILE,
    TRANSACTION_FILE_QUERY,
    TransactionFileQuerySerializer,
)
from credits.api.wire_responses import WireResponse, page
from credits.api.wire_serializers import origin, query, user
from credits.catalogue.catalogue import PRICE_REFUSALS
from credits.ledger import (
    BalanceTooLarge,
    InsufficientCredits,
    Memo,
    SpendingLimitReached,
    reservations,
    usage,
)
from credits.ledger.history import History
from credits.ledger.usage import InvalidSpan
from credits.models import Transaction


class CreditsViewSet(ChangesAccount, GenericViewSet[Transaction]):
    """The user's balance, spends, transactions and usage."""

    keyset = "number"

    @operation("balance", response=BalanceSerializer)
    def balance(self, request: Request) -> WireResponse:
        """Return the user's balance; all zeros for a user without a balance."""
        return WireResponse(BALANCE.represent(ledger.balance_of(user(request).id)))

    @operation(
        "use",
        request=UseCreditsSerializer,
        response=UseCreditsResponseSerializer,
        refuses=(InsufficientCredits, SpendingLimitReached, *PRICE_REFUSALS, BalanceTooLarge),
    )
    def use(self, request: Request) -> WireResponse:
        """Spend credits, once per idempotency key. 402 if they do not suffice."""
        body = USE.parse(request.data)
        posting = ledger.spend(
            user(request).id, body["amount"], memo=memo(body), origin=origin(request, body)
        )
        return WireResponse(USED.represent(posting))

    @operation(
        "transactions",
        parameters=[TransactionQuerySerializer],
        response=TransactionSerializer(many=True),
        refuses=(InvalidSpan,),
    )
    def transactions(self, request: Request) -> WireResponse:
        """List the user's transactions, newest first."""
        filters = TRANSACTION_QUERY.parse(query(request))
        return page(self, History(user(request).id, filters), TRANSACTION)

    @operation(
        "transactions_csv",
        parameters=[TransactionFileQuerySerializer],
        response={(200, "text/csv"): TRANSACTION_FILE},
        refuses=(InvalidSpan,),
        linked=True,
    )
    def transactions_csv(self, request: Request) -> HttpResponse:
        """Return the user's newest transactions as a CSV file.

        A file has at most 10,000 rows, newest first. The header `Link` leads to the next file. It
        is UTF-8 with a byte order mark. Texts that a spreadsheet would run as a formula begin with
        an apostrophe.
        """
        filters = TRANSACTION_FILE_QUERY.parse(query(request))
        # The cursor is the position in the list and no filter of it.
        cursor = filters.pop("cursor", None)
        return transaction_files.file(request, History(user(request).id, filters), cursor=cursor)

    @operation(
        "usage",
        parameters=[UsageQuerySerializer],
        response=UsageStatSerializer(many=True),
        refuses=(InvalidSpan,),
    )
    def usage(self, request: Request) -> WireResponse:
        """Return the user's usage by app and UTC day, by default of the last 30 days."""
        span = USAGE_QUERY.parse(query(request))
        rows = usage.of_user(
            user(request).id,
            first=span.get("from"),
            last=span.get("to"),
            today=datetime.now(UTC).date(),
        )
        return WireResponse([USAGE_STAT.represent(row) for row in rows])

    @operation("reservations", response=OpenReservationSerializer(many=True))
    def reservations(self, request: Request) -> WireResponse:
        """List the user's open reservations, which hold credits, the first to expire first."""
        rows = reservations.open_of(user(request).id)
        return WireResponse([OPEN_RESERVATION.represent(row) for row in rows])


def memo(body: dict[str, Any]) -> Memo:
    """Return the memo of the transaction from a validated body."""
    return Memo(body["app_id"], body["description"], body.get("metadata"))
