"""Views of the catalogue: public and equal for every caller, so caches may keep the answers."""

from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from credits.api.catalogue_serializers import (
    OPERATION,
    PRICING,
    OperationSerializer,
    PricingSerializer,
)
from credits.api.http_cache import cacheable
from credits.api.openapi import operation
from credits.api.wire_responses import WireResponse
from credits.catalogue import catalogue
from credits.models import Operation


class CatalogueViewSet(GenericViewSet[Operation]):
    """The operations on offer and their prices."""

    authentication_classes = ()
    permission_classes = ()
    pagination_class = None

    @operation("operations", response=OperationSerializer(many=True), cacheable=True)
    def operations(self, request: Request) -> HttpResponseBase:
        """List the operations that cost credits, by key. Everything else is free."""
        return cacheable(
            request, WireResponse([OPERATION.represent(row) for row in catalogue.on_offer()])
        )

    @operation("pricing", response=PricingSerializer, cacheable=True)
    def pricing(self, request: Request) -> HttpResponseBase:
        """Return the cost of each operation, in credits."""
        return cacheable(request, WireResponse(PRICING.represent(catalogue.pricing())))
