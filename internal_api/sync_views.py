"""Cloud Sync for services (`/api/v1/internal/sync`, service key)."""

from collections import Counter

from rest_framework.request import Request

from credits import due_rows, worker
from credits.api.openapi import operation
from credits.api.sync_serializers import SYNC_STATUS, SyncStatusSerializer
from credits.api.wire_responses import WireResponse
from credits.api.wire_serializers import named_user
from credits.sync import cloud_sync, renewals
from internal_api import scopes
from internal_api import serializers as wire
from internal_api.views import ServiceViewSet

RENEWALS_PER_REQUEST = 5_000


class ServiceSyncViewSet(ServiceViewSet):
    """A user's Cloud Sync, and the renewal of all due subscriptions."""

    @operation("internal_sync_status", response=SyncStatusSerializer, scope=scopes.SYNC)
    def status(self, request: Request, user_id: str) -> WireResponse:
        """Return whether the user's sync is active and when the next charge is due."""
        return WireResponse(SYNC_STATUS.represent(cloud_sync.status(named_user(user_id))))

    @operation(
        "internal_sync_charge_recurring",
        response=wire.RenewSubscriptionsResponseSerializer,
        scope=scopes.SYNC,
    )
    def charge_recurring(self, request: Request) -> WireResponse:
        """Renew up to 5,000 due subscriptions. Safe to call at any time and repeatedly."""
        now = worker.now()
        # A request, like a command, retries failed subscriptions without their pause.
        due_rows.retry_postponed(renewals.RENEW_JOB, now=now)
        outcomes = Counter(renewals.renew_due(now=now, limit=RENEWALS_PER_REQUEST))
        return WireResponse(wire.RENEWALS.represent(outcomes))
