"""Cloud Sync for services (`/api/v1/internal/sync`, service key)."""

from collections import Counter
from datetime import UTC, datetime

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from credits.api.sync_serializers import SYNC_STATUS, SyncStatusSerializer
from credits.api.wire_serializers import named_user
from credits.sync import cloud_sync
from internal_api import serializers as wire
from internal_api.views import ServiceViewSet

RENEWALS_PER_REQUEST = 5_000


class SyncViewSet(ServiceViewSet):
    """A user's Cloud Sync, and the renewal of all that are due."""

    @extend_schema(operation_id="internal_sync_status", responses=SyncStatusSerializer)
    def status(self, request: Request, user_id: str) -> Response:
        """Whether the user's sync is on, and when the next charge is due."""
        return Response(SYNC_STATUS.represent(cloud_sync.status(named_user(user_id))))

    @extend_schema(
        operation_id="internal_sync_charge_recurring",
        request=None,
        responses=wire.RenewalsSerializer,
    )
    def charge_recurring(self, request: Request) -> Response:
        """Renew what is due, up to 5,000 subscriptions; safe to call at any time, many times."""
        outcomes = Counter(cloud_sync.renew_due(now=datetime.now(UTC), limit=RENEWALS_PER_REQUEST))
        return Response(wire.RENEWALS.represent(outcomes))
