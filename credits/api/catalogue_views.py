"""What things cost: public, and the same for everybody, so that clients and proxies may keep it."""

import hashlib
import json
from typing import Any, cast

from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import get_conditional_response
from drf_spectacular.utils import extend_schema
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
from credits.models import Operation

CACHE_CONTROL = "public, max-age=60"


class CatalogueViewSet(GenericViewSet[Operation]):
    """The operations on offer and their prices."""

    authentication_classes = ()
    permission_classes = ()
    pagination_class = None

    @extend_schema(operation_id="operations", responses=OperationSerializer(many=True))
    def operations(self, request: Request) -> HttpResponseBase:
        """What costs credits, by key; everything else is free."""
        return _cacheable(request, [OPERATION.represent(row) for row in catalogue.on_offer()])

    @extend_schema(operation_id="pricing", responses=PricingSerializer)
    def pricing(self, request: Request) -> HttpResponseBase:
        """What each operation costs, in credits."""
        return _cacheable(request, PRICING.represent(catalogue.pricing()))


def _cacheable(request: Request, data: Any) -> HttpResponseBase:
    etag = f'"{hashlib.sha256(json.dumps(data).encode()).hexdigest()[:32]}"'
    response = Response(data, headers={"ETag": etag, "Cache-Control": CACHE_CONTROL})
    answer = get_conditional_response(cast("HttpRequest", request), etag=etag, response=response)
    return cast("HttpResponseBase", answer)
