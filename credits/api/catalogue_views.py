"""Views of the catalogue: public and equal for every caller, so caches may keep the answers."""

import hashlib
import json
from typing import Any, cast

from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import get_conditional_response
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from credits import catalogue
from credits.api.catalogue_serializers import (
    OPERATION,
    PRICING,
    OperationSerializer,
    PricingSerializer,
)
from credits.api.openapi import operation
from credits.models import Operation

CACHE_CONTROL = "public, max-age=60"


class CatalogueViewSet(GenericViewSet[Operation]):
    """The operations on offer and their prices."""

    authentication_classes = ()
    permission_classes = ()
    pagination_class = None

    @operation("operations", response=OperationSerializer(many=True), cacheable=True)
    def operations(self, request: Request) -> HttpResponseBase:
        """List the operations that cost credits, by key. Everything else is free."""
        return _cacheable(request, [OPERATION.represent(row) for row in catalogue.on_offer()])

    @operation("pricing", response=PricingSerializer, cacheable=True)
    def pricing(self, request: Request) -> HttpResponseBase:
        """Return the cost of each operation, in credits."""
        return _cacheable(request, PRICING.represent(catalogue.pricing()))


def _cacheable(request: Request, data: Any) -> HttpResponseBase:
    etag = f'"{hashlib.sha256(json.dumps(data).encode()).hexdigest()[:32]}"'
    response = Response(data, headers={"ETag": etag, "Cache-Control": CACHE_CONTROL})
    answer = get_conditional_response(cast("HttpRequest", request), etag=etag, response=response)
    return cast("HttpResponseBase", answer)
