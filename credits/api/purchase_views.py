"""Views for buying credits (`/api/v1/credits`, user token)."""

from datetime import UTC, datetime
from typing import Any

from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from credits.api.account_views import ChangesAccount
from credits.api.openapi import operation
from credits.api.purchase_serializers import (
    PACKAGE,
    PURCHASE,
    PURCHASE_ID,
    START,
    STARTED,
    PackageSerializer,
    PurchaseSerializer,
    StartPurchaseResponseSerializer,
    StartPurchaseSerializer,
)
from credits.api.wire_responses import WireResponse, page
from credits.api.wire_serializers import origin, user
from credits.payments import cancellation, checkout, packages, purchases
from credits.payments.cancellation import PurchaseNotCancellable
from credits.payments.checkout import PurchaseTooOld
from credits.payments.packages import PackageUnknown
from credits.payments.purchases import PurchaseUnknown
from credits.payments.stripe_errors import PageRefused, PaymentUnavailable


class PackageViewSet(GenericViewSet[Any]):
    """The packages on offer, without authentication."""

    authentication_classes = ()
    permission_classes = ()
    pagination_class = None

    @operation("packages", response=PackageSerializer(many=True))
    def offered(self, request: Request) -> WireResponse:
        """List the packages on offer, in their order."""
        return WireResponse([PACKAGE.represent(row) for row in packages.offered()])


class PurchaseViewSet(ChangesAccount, GenericViewSet[Any]):
    """A user's purchases."""

    account_place = "purchase:"  # a purchase waits for Stripe and must not block spends
    keyset = "number"

    @operation("purchases", response=PurchaseSerializer(many=True))
    def purchases(self, request: Request) -> WireResponse:
        """List the user's purchases, newest first."""
        return page(self, purchases.of_user(user(request).id), PURCHASE)

    @operation(
        "start_purchase",
        request=StartPurchaseSerializer,
        response=StartPurchaseResponseSerializer,
        refuses=(PackageUnknown, PageRefused, PurchaseTooOld, PaymentUnavailable),
    )
    def start(self, request: Request) -> WireResponse:
        """Start a purchase, once per idempotency key. 503 if Stripe is unavailable."""
        body = START.parse(request.data)
        buyer = user(request)
        purchase = checkout.start(
            buyer.id,
            body["package_id"],
            email=buyer.email,
            pages=body["pages"],
            origin=origin(request, body),
            now=datetime.now(UTC),
        )
        return WireResponse(STARTED.represent(purchase))

    @operation("purchase", response=PurchaseSerializer, refuses=(PurchaseUnknown,))
    def purchase(self, request: Request, purchase_id: str) -> WireResponse:
        """Return one of the user's purchases. 404 for a purchase of another user."""
        named = PURCHASE_ID.parse({"purchaseId": purchase_id})
        found = purchases.find(**named, user_id=user(request).id)
        return WireResponse(PURCHASE.represent(found))

    @operation(
        "cancel_purchase",
        response=PurchaseSerializer,
        refuses=(PurchaseUnknown, PurchaseNotCancellable, PaymentUnavailable),
    )
    def cancel(self, request: Request, purchase_id: str) -> WireResponse:
        """Cancel one of the user's unpaid purchases, so that it can no longer be paid."""
        named = PURCHASE_ID.parse({"purchaseId": purchase_id})
        left = cancellation.cancel(**named, user_id=user(request).id, now=datetime.now(UTC))
        return WireResponse(PURCHASE.represent(left))
