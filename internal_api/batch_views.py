"""Spends of many users in one request (`/api/v1/internal/credits/use/batch`, service key)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rest_framework.request import Request
from rest_framework.serializers import ValidationError

from credits.api.account_views import ChangesBatches
from credits.api.openapi import operation
from credits.api.views import memo
from credits.api.wire_responses import WireResponse
from credits.api.wire_serializers import origin
from credits.errors import DomainError
from credits.ledger import Posting
from credits.ledger.spend_batches import Spend, Spent
from internal_api import batch_serializers as wire
from internal_api import scopes, service_caps
from internal_api.serializers import SERVICE_USE
from internal_api.views import ServiceViewSet, service


class BatchViewSet(ChangesBatches, ServiceViewSet):
    """Batches of spends."""

    @operation(
        "internal_use_batch",
        request=wire.UseBatchSerializer,
        response=wire.UseBatchResponseSerializer,
        scope=scopes.USE,
    )
    def use(self, request: Request) -> WireResponse:
        """Post up to 1,000 spends. A refused item does not affect the others.

        The items of one user are posted in order. A batch can be sent again: items with a known key
        are replayed. A key for the whole batch is rejected, in the header `Idempotency-Key` or in
        the body, because each item has its own key.
        """
        _reject_key(request)
        parsed = [_parsed(item) for item in wire.USE_BATCH.parse(request.data)["items"]]
        spends = [item for item in parsed if isinstance(item, Spend)]
        # Only readable items are spent. The answer keeps the order of all items.
        results = iter(_spend_all(request, spends))
        outcomes = [next(results) if isinstance(item, Spend) else item for item in parsed]
        return WireResponse({"items": [wire.outcome(result) for result in outcomes]})


def _reject_key(request: Request) -> None:
    """Raise ValidationError if the request has a key for the whole batch."""
    in_body = isinstance(request.data, Mapping) and request.data.get("idempotencyKey")
    given = {
        "Idempotency-Key": request.META.get("HTTP_IDEMPOTENCY_KEY"),
        "idempotencyKey": in_body,
    }
    if any(given.values()):
        error = ["Each item has its own idempotencyKey."]
        raise ValidationError({name: error for name, key in given.items() if key})


def _spend_all(request: Request, spends: Sequence[Spend]) -> list[Spent | Posting | DomainError]:
    return service_caps.spend_all(
        service(request), spends, origin=origin(request), now=datetime.now(UTC)
    )


def _parsed(item: Any) -> Spend | ValidationError:
    try:
        body = SERVICE_USE.parse(item)
    except ValidationError as error:
        return error
    return Spend(body["user_id"], body["amount"], memo(body), body.get("key") or None)
