"""What a user's apps ask about the user's own credits (`/api/v1/credits`, user token)."""

from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from credits.api.account_views import ChangesAccount
from credits.api.serializers import (
    BALANCE,
    TRANSACTION,
    TRANSACTION_QUERY,
    USAGE_QUERY,
    USAGE_STAT,
    USE,
    USED,
    BalanceSerializer,
    TransactionQuerySerializer,
    TransactionSerializer,
    UsageQuerySerializer,
    UsageStatSerializer,
    UsedSerializer,
    UseSerializer,
)
from credits.api.wire_serializers import origin, user
from credits.ledger import ledger, usage
from credits.ledger.posting import Memo
from credits.models import Transaction


class CreditsViewSet(ChangesAccount, GenericViewSet[Transaction]):
    """The user's balance, spends, transactions and usage."""

    keyset = "number"

    @extend_schema(operation_id="balance", responses=BalanceSerializer)
    def balance(self, request: Request) -> Response:
        """What the user has: zeros for a user never seen."""
        return Response(BALANCE.represent(ledger.balance_of(user(request).id)))

    @extend_schema(operation_id="use", request=UseSerializer, responses=UsedSerializer)
    def use(self, request: Request) -> Response:
        """Spend credits, once per idempotency key. 402 when they do not suffice."""
        body = USE.parse(request.data)
        posting = ledger.spend(
            user(request).id, body["amount"], memo=memo(body), origin=origin(request, body)
        )
        return Response(USED.represent(posting))

    @extend_schema(
        operation_id="transactions",
        parameters=[TransactionQuerySerializer],
        responses=TransactionSerializer(many=True),
    )
    def transactions(self, request: Request) -> Response:
        """The user's transactions, newest first."""
        filters = TRANSACTION_QUERY.parse(request.query_params.dict())
        rows = Transaction.objects.filter(user_id=user(request).id, **filters).order_by("-number")
        return self._page(rows)

    @extend_schema(
        operation_id="usage",
        parameters=[UsageQuerySerializer],
        responses=UsageStatSerializer(many=True),
    )
    def usage(self, request: Request) -> Response:
        """What the user spent, by app and UTC day; the last 30 days when no span is given."""
        span = USAGE_QUERY.parse(request.query_params.dict())
        rows = usage.of_user(
            user(request).id,
            first=span.get("from"),
            last=span.get("to"),
            today=datetime.now(UTC).date(),
        )
        return Response([USAGE_STAT.represent(row) for row in rows])

    def _page(self, rows: QuerySet[Transaction]) -> Response:
        page = self.paginate_queryset(rows) or []
        return self.get_paginated_response([TRANSACTION.represent(row) for row in page])


def memo(body: dict[str, Any]) -> Memo:
    """Return what the entry shall say, out of a validated body."""
    return Memo(body["app_id"], body["description"], body.get("metadata"))
