"""Views of users' credits for services (`/api/v1/internal`, service key)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast

from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from credits import ledger
from credits.api.account_views import ChangesNamedAccount, SettlesReservations
from credits.api.openapi import operation
from credits.api.serializers import USED, UseCreditsResponseSerializer
from credits.api.views import memo
from credits.api.wire_responses import WireResponse
from credits.api.wire_serializers import USER, named_user, origin
from credits.catalogue.catalogue import PRICE_REFUSALS
from credits.catalogue.metered_prices import OperationNotMetered, UnitsRequired, UnknownUnit
from credits.ledger import (
    BalanceTooLarge,
    ExceedsOriginal,
    InsufficientCredits,
    Memo,
    Posting,
    SpendingLimitReached,
    TransactionUnknown,
    UserUnknown,
    reservations,
)
from credits.ledger.credit_lots import InvalidCreditExpiry
from credits.ledger.reservations import (
    ExceedsReservation,
    ReservationCommitted,
    ReservationExpired,
    ReservationReleased,
    ReservationUnknown,
)
from credits.principals import Service
from gifts import pending
from gifts.blocks import GiftsBlocked
from internal_api import reservation_serializers as holds
from internal_api import scopes, service_caps
from internal_api import serializers as wire
from internal_api.authentication import HasScope, ServiceKeyAuthentication
from internal_api.service_caps import GRANTS, REFUNDS, CapReached


class ServiceViewSet(GenericViewSet[Any]):
    """The base class of all views for services."""

    authentication_classes = (ServiceKeyAuthentication,)
    permission_classes = (HasScope,)


class BalanceViewSet(ChangesNamedAccount, ServiceViewSet):
    """A user's balance: read, spend, refund, grant."""

    @operation(
        "internal_balance", response=wire.ServiceBalanceSerializer, scope=scopes.BALANCE_READ
    )
    def balance(self, request: Request, user_id: str) -> WireResponse:
        """Return the user's balance without creating a row."""
        return WireResponse(wire.SERVICE_BALANCE.represent(ledger.balance_of(named_user(user_id))))

    @operation(
        "internal_init",
        request=wire.InitBalanceSerializer,
        response=wire.BalanceRowSerializer,
        scope=scopes.INIT,
    )
    def init(self, request: Request) -> WireResponse:
        """Return the user's balance row; create it if it does not exist."""
        body = USER.parse(request.data)
        balance = ledger.ensure_balance(body["user_id"], origin=origin(request))
        return WireResponse(wire.BALANCE_ROW.represent(balance))

    @operation(
        "internal_use",
        request=wire.ServiceUseCreditsSerializer,
        response=UseCreditsResponseSerializer,
        refuses=(
            InsufficientCredits,
            SpendingLimitReached,
            *PRICE_REFUSALS,
            BalanceTooLarge,
            CapReached,
        ),
        scope=scopes.USE,
    )
    def use(self, request: Request) -> WireResponse:
        """Spend a user's credits, once per idempotency key. 402 if they do not suffice."""
        body = wire.SERVICE_USE.parse(request.data)
        spend = partial(
            ledger.spend,
            body["user_id"],
            body["amount"],
            memo=memo(body),
            origin=origin(request, body),
        )
        posting = service_caps.spending(
            service(request), body["user_id"], spend, now=datetime.now(UTC)
        )
        return WireResponse(USED.represent(posting))

    @operation(
        "internal_refund",
        request=wire.RefundSerializer,
        response=wire.RefundResponseSerializer,
        refuses=(UserUnknown, TransactionUnknown, ExceedsOriginal, BalanceTooLarge, CapReached),
        scope=scopes.REFUND,
    )
    def refund(self, request: Request) -> WireResponse:
        """Refund used credits. All refunds of a named usage are at most its amount."""
        body = wire.REFUND.parse(request.data)
        refund = partial(
            ledger.refund,
            body["user_id"],
            body["amount"],
            memo=memo(body),
            origin=origin(request, body),
            usage_id=body["usage_id"],
        )
        # A refund of a usage is limited by that usage. Only a free one needs the cap.
        posting = refund() if body["usage_id"] else _counted(request, REFUNDS, body, refund)
        return WireResponse(wire.REFUNDED.represent(posting))

    @operation(
        "internal_grant",
        request=wire.GrantSerializer,
        response=wire.GrantResponseSerializer,
        refuses=(BalanceTooLarge, InvalidCreditExpiry, CapReached),
        scope=scopes.GRANT,
    )
    def grant(self, request: Request) -> WireResponse:
        """Grant credits without payment, once per user and `referenceId`."""
        body = wire.GRANT.parse(request.data)
        grant = partial(
            ledger.grant,
            body["user_id"],
            body["amount"],
            memo=_grant_memo(body),
            origin=origin(request, body),
            # The cause makes the grant unique, not the idempotency key: a service may forget its
            # key, but not what it rewards.
            cause=ledger.grant_cause(body["user_id"], body["reference_id"]),
            expires_at=body["expires_at"],
        )
        posting = _counted(request, GRANTS, body, grant)
        return WireResponse(wire.GRANTED.represent(posting))


class ReservationViewSet(SettlesReservations, ServiceViewSet):
    """Two-phase spends: reserve, then commit or release."""

    @operation(
        "internal_reserve",
        request=holds.ReserveSerializer,
        response=holds.ReserveResponseSerializer,
        refuses=(
            InsufficientCredits,
            SpendingLimitReached,
            *PRICE_REFUSALS,
            BalanceTooLarge,
            ReservationReleased,
            ReservationExpired,
            CapReached,
        ),
        scope=scopes.RESERVE,
    )
    def reserve(self, request: Request) -> WireResponse:
        """Reserve credits for a later spend. 402 if they do not suffice."""
        body = holds.RESERVE.parse(request.data)
        reserve = partial(
            reservations.reserve,
            body["user_id"],
            body["amount"],
            reason=body["reason"],
            origin=origin(request, body),
            ttl=timedelta(seconds=body["ttl_seconds"]),
        )
        # Held credits count against the cap: a commit of at most its hold is not checked again.
        hold = service_caps.spending(
            service(request), body["user_id"], reserve, now=datetime.now(UTC)
        )
        return WireResponse(holds.RESERVED.represent(hold))

    @operation(
        "internal_commit",
        request=holds.CommitReservationSerializer,
        response=holds.CommitReservationResponseSerializer,
        refuses=(
            ReservationUnknown,
            ReservationCommitted,
            ReservationReleased,
            ReservationExpired,
            ExceedsReservation,
            UnitsRequired,
            OperationNotMetered,
            UnknownUnit,
            BalanceTooLarge,
            CapReached,
        ),
        scope=scopes.RESERVE,
    )
    def commit(self, request: Request) -> WireResponse:
        """Spend the reserved credits, `amount` of them, or the price of `units`.

        The rest is released. A price above the hold also takes available credits. What is not
        charged is `unpaid` in the answer.
        """
        body = holds.COMMIT.parse(request.data)
        commit = partial(
            reservations.commit,
            body["reservation_id"],
            origin=origin(request, body),
            amount=body["amount"],
            units=body.get("units"),
            description=body["description"] or None,
        )
        # The cap is checked again only for more than the hold, or for a hold of another service.
        hold = service_caps.committing(service(request), commit, now=datetime.now(UTC))
        return WireResponse(holds.COMMITTED.represent(hold))

    @operation(
        "internal_release",
        request=holds.ReleaseReservationSerializer,
        response=holds.ReleaseReservationResponseSerializer,
        refuses=(ReservationUnknown, ReservationCommitted, ReservationExpired),
        scope=scopes.RESERVE,
    )
    def release(self, request: Request) -> WireResponse:
        """Release the reserved credits."""
        body = holds.RELEASE.parse(request.data)
        hold = reservations.release(body["reservation_id"], origin=origin(request, body))
        return WireResponse(holds.RELEASED.represent(hold))


class GiftViewSet(ChangesNamedAccount, ServiceViewSet):
    """Gifts that are pending until a user registers."""

    @operation(
        "internal_redeem_pending",
        request=wire.RedeemPendingGiftsSerializer,
        response=wire.RedeemPendingGiftsResponseSerializer,
        refuses=(GiftsBlocked, BalanceTooLarge),
        scope=scopes.GIFTS,
    )
    def redeem_pending(self, request: Request) -> WireResponse:
        """Redeem the pending gifts for the user's e-mail address, at most 1,000 of them."""
        body = wire.REDEEM_PENDING.parse(request.data)
        # A key identifies one movement, not those of several gifts. Each gift arrives once anyway.
        unkeyed = origin(request)._replace(key=None)
        arrived = pending.redeem_pending(**body, origin=unkeyed, now=datetime.now(UTC))
        return WireResponse(wire.ARRIVED.represent(arrived))


def service(request: Request) -> Service:
    """Return the service that authenticated the request."""
    return cast("Service", request.user)


def _counted(
    request: Request, cap: str, body: dict[str, Any], post: Callable[[], Posting]
) -> Posting:
    return service_caps.counted(service(request), cap, body["amount"], post, now=datetime.now(UTC))


def _grant_memo(body: dict[str, Any]) -> Memo:
    return Memo(
        # The app of all grants, as in the earlier service.
        "community",
        body.get("description") or f"Reward: {body['reason']}",
        {"reason": body["reason"], "referenceId": body["reference_id"]},
    )
