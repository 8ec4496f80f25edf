"""Cloud Sync for users (`/api/v1/sync`) and for admins (`/api/v1/admin/sync`)."""

from datetime import UTC, datetime
from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from credits.api.account_views import ChangesAccount
from credits.api.openapi import operation
from credits.api.sync_serializers import (
    ACTIVATE,
    ACTIVATED,
    CHANGE_INTERVAL,
    DEACTIVATED,
    INTERVAL_CHANGED,
    SYNC_GIFT,
    SYNC_STATUS,
    ActivateSyncResponseSerializer,
    ActivateSyncSerializer,
    ChangeSyncIntervalResponseSerializer,
    ChangeSyncIntervalSerializer,
    DeactivateSyncResponseSerializer,
    SyncGiftResponseSerializer,
    SyncStatusSerializer,
)
from credits.api.wire_responses import WireResponse
from credits.api.wire_serializers import language, named_user, origin, user
from credits.catalogue.catalogue import OperationUnknown
from credits.ledger import BalanceTooLarge, InsufficientCredits, SpendingLimitReached
from credits.models import SyncSubscription
from credits.sync import cloud_sync
from credits.sync.cloud_sync import SyncActive, SyncGifted, SyncInactive


class SyncViewSet(ChangesAccount, GenericViewSet[SyncSubscription]):
    """The user's own Cloud Sync."""

    @operation("sync_status", response=SyncStatusSerializer)
    def status(self, request: Request) -> WireResponse:
        """Return whether sync is active and when the next charge is due."""
        return WireResponse(SYNC_STATUS.represent(cloud_sync.status(user(request).id)))

    @operation(
        "sync_activate",
        request=ActivateSyncSerializer,
        response=ActivateSyncResponseSerializer,
        refuses=(
            SyncActive,
            SyncGifted,
            InsufficientCredits,
            SpendingLimitReached,
            OperationUnknown,
            BalanceTooLarge,
        ),
    )
    def activate(self, request: Request) -> WireResponse:
        """Activate sync and charge the first period. 402 if the credits do not suffice."""
        body = ACTIVATE.parse(request.data)
        activation = cloud_sync.activate(
            user(request).id,
            interval=body["interval"],
            origin=origin(request, body),
            now=datetime.now(UTC),
            language=language(request),
        )
        return WireResponse(ACTIVATED.represent(activation))

    @operation("sync_deactivate", response=DeactivateSyncResponseSerializer, refuses=(SyncGifted,))
    def deactivate(self, request: Request) -> WireResponse:
        """Deactivate sync at once. A new activation within the paid period is free."""
        subscription = cloud_sync.deactivate(user(request).id, now=datetime.now(UTC))
        return WireResponse(DEACTIVATED.represent(subscription))

    @operation(
        "sync_change_interval",
        request=ChangeSyncIntervalSerializer,
        response=ChangeSyncIntervalResponseSerializer,
        refuses=(SyncInactive, SyncGifted, OperationUnknown),
    )
    def change_interval(self, request: Request) -> WireResponse:
        """Change the billing interval from the next renewal on."""
        body = CHANGE_INTERVAL.parse(request.data)
        change = cloud_sync.change_interval(
            user(request).id, interval=body["interval"], now=datetime.now(UTC)
        )
        return WireResponse(INTERVAL_CHANGED.represent(change))


class HasAdminRole(BasePermission):
    """Allows users whose token has the role `admin`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the caller is an admin."""
        return user(request).role == "admin"


class AdminSyncViewSet(ChangesAccount, GenericViewSet[SyncSubscription]):
    """Any user's Cloud Sync, for admins."""

    permission_classes = (HasAdminRole,)

    @operation("admin_sync_status", response=SyncStatusSerializer)
    def status(self, request: Request, user_id: str) -> WireResponse:
        """Return whether the user's sync is active and when the next charge is due."""
        return WireResponse(SYNC_STATUS.represent(cloud_sync.status(named_user(user_id))))

    @operation("admin_sync_give", response=SyncGiftResponseSerializer)
    def give(self, request: Request, user_id: str) -> WireResponse:
        """Give Cloud Sync to the user without charges."""
        subscription = cloud_sync.give(
            named_user(user_id), by=f"operator:{user(request).id}", now=datetime.now(UTC)
        )
        return WireResponse(SYNC_GIFT.represent(subscription))

    @operation("admin_sync_revoke", response={200: SyncGiftResponseSerializer})
    def revoke(self, request: Request, user_id: str) -> WireResponse:
        """Revoke the gift: return to the paid period if it has not ended, else deactivate sync."""
        subscription = cloud_sync.revoke(named_user(user_id), now=datetime.now(UTC))
        return WireResponse(SYNC_GIFT.represent(subscription))
