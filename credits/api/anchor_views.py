"""The anchors of the ledger: public, so that anybody can keep them and detect a later change."""

from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from credits.api.anchor_serializers import ANCHOR, AnchorSerializer
from credits.api.http_cache import cacheable
from credits.api.openapi import operation
from credits.api.wire_responses import page
from credits.ledger import anchors
from credits.models import Anchor


class AnchorViewSet(GenericViewSet[Anchor]):
    """One digest over all users' chains for each day. It contains no personal data."""

    authentication_classes = ()
    permission_classes = ()
    keyset = "number"

    @operation("anchors", response=AnchorSerializer(many=True), cacheable=True)
    def anchors(self, request: Request) -> HttpResponseBase:
        """The anchors of the ledger, newest first: one for each UTC day, made the night after.

        `manage.py check_ledger --anchors FILE` compares the ledger with this list, kept elsewhere.
        """
        return cacheable(request, page(self, anchors.published(), ANCHOR))
