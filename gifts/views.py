"""Views of gifts (`/api/v1/gifts`; user token, except for showing a gift by its code)."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from credits.api.account_views import ChangesAccount
from credits.api.openapi import operation
from credits.api.wire_responses import WireResponse, page
from credits.api.wire_serializers import origin, user
from credits.client_ip import client_address
from credits.ledger import BalanceTooLarge, InsufficientCredits
from credits.principals import User
from gifts import codes, relations
from gifts import serializers as wire
from gifts.blocks import GiftsBlocked
from gifts.codes import (
    GiftNotRedeemable,
    GiftOfExpiringCredits,
    GiftUnknown,
    InvalidExpiry,
    OwnGift,
)
from gifts.creation_serializers import CREATE, CreateGiftSerializer
from gifts.throttle import Attempt, TooManyMisses


class OptionalAuthentication(BaseAuthentication):
    """Authenticates a valid token; any other request is anonymous."""

    def __init__(self, inner: BaseAuthentication) -> None:
        self._inner = inner

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Return the token's user, or None."""
        try:
            return self._inner.authenticate(request)
        except APIException:
            return None


class GiftsViewSet(ChangesAccount, GenericViewSet[Any]):
    """A user's gifts: create, list, redeem, cancel, show."""

    keyset = "number"

    @operation(
        "create_gift",
        request=CreateGiftSerializer,
        response={201: wire.GiftSerializer},
        refuses=(
            InvalidExpiry,
            InsufficientCredits,
            GiftOfExpiringCredits,
            GiftsBlocked,
            BalanceTooLarge,
        ),
    )
    def create(self, request: Request) -> WireResponse:
        """Create a gift, once per idempotency key. 402 if the credits do not suffice."""
        body = CREATE.parse(request.data)
        now = datetime.now(UTC)
        gift = codes.create(
            user(request), CREATE.to_gift(body, now), origin=origin(request, body), now=now
        )
        return WireResponse(wire.GIFT.represent(gift), status=201)

    @operation("created_gifts", response=wire.GiftSerializer(many=True))
    def created(self, request: Request) -> WireResponse:
        """List the gifts that the user created, newest first."""
        rows = codes.created_by(user(request).id, now=datetime.now(UTC))
        return page(self, rows, wire.GIFT)

    @operation("received_gifts", response=wire.GiftRedemptionSerializer(many=True))
    def received(self, request: Request) -> WireResponse:
        """List the gifts that the user redeemed, newest first."""
        return page(self, codes.received_by(user(request).id), wire.REDEMPTION)

    @operation(
        "redeem_gift",
        request=wire.RedeemGiftSerializer,
        response=wire.RedeemGiftResponseSerializer,
        path={"code": wire.CODE},
        refuses=(
            GiftUnknown,
            GiftNotRedeemable,
            OwnGift,
            TooManyMisses,
            GiftsBlocked,
            BalanceTooLarge,
        ),
    )
    def redeem(self, request: Request, code: str) -> WireResponse:
        """Redeem a gift, once. 404 for an invalid code and for a gift for somebody else."""
        body = wire.REDEEM.parse(request.data)
        redeemed = codes.redeem(
            code,
            user=user(request),
            address=client_address(request),
            origin=origin(request, body),
            now=datetime.now(UTC),
            source_app_id=body.get("source_app_id") or None,
        )
        return WireResponse(wire.REDEEMED.represent(redeemed))

    @operation(
        "cancel_gift",
        response={200: wire.CancelGiftResponseSerializer},
        path={"code_or_id": wire.ID},
        keyed=True,
        refuses=(GiftUnknown, GiftNotRedeemable),
    )
    def cancel(self, request: Request, code_or_id: str) -> WireResponse:
        """Cancel one of the user's own active gifts, by its id, and return the credits."""
        named = wire.GIFT_ID.parse({"id": code_or_id})
        gift = codes.cancel(
            **named, user=user(request), origin=origin(request), now=datetime.now(UTC)
        )
        return WireResponse(wire.CANCELLED.represent(gift))

    @operation(
        "gift",
        response=wire.PublicGiftSerializer,
        path={"code_or_id": wire.CODE},
        refuses=(GiftUnknown, TooManyMisses),
    )
    def show(self, request: Request, code_or_id: str) -> WireResponse:
        """Return a gift by its code. No token is needed."""
        caller: object = request.user
        viewer = caller if isinstance(caller, User) else None
        guesser = Attempt(client_address(request), viewer.id if viewer else None)
        gift = codes.find(code_or_id, guesser=guesser, now=datetime.now(UTC))
        relations.describe(gift, viewer)
        return WireResponse(wire.PUBLIC_GIFT.represent(gift))

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Require no token for showing a gift. With one, misses count as the user's."""
        if not self._is_public():
            return super().get_authenticators()
        # Without a token nothing is verified, so that an outage of mana-auth does not affect the
        # gift page.
        with_token = "HTTP_AUTHORIZATION" in getattr(self.request, "META", {})
        return (
            [OptionalAuthentication(one) for one in super().get_authenticators()]
            if with_token
            else []
        )

    def get_permissions(self) -> Sequence[Any]:
        """Return no permissions for showing a gift, which is public."""
        return [] if self._is_public() else super().get_permissions()

    def _is_public(self) -> bool:
        # DRF calls this before it sets the action, and without a request for the API's schema.
        method = getattr(self.request, "method", None) or ""
        return getattr(self, "action_map", {}).get(method.lower()) == "show"
