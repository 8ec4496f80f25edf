"""What services do with a user's credits (`/api/v1/internal`, service key)."""

from datetime import UTC, datetime, timedelta
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from credits.api.account_views import ChangesNamedAccount
from credits.api.openapi import operation
from credits.api.serializers import USED, UseCreditsResponseSerializer
from credits.api.views import memo
from credits.api.wire_serializers import USER, named_user, origin
from credits.catalogue import OperationUnknown
from credits.ledger import ledger, reservations
from credits.ledger.posting import (
    BalanceTooLarge,
    ExceedsOriginal,
    InsufficientCredits,
    Memo,
    TransactionUnknown,
    UserUnknown,
)
from credits.ledger.reservations import (
    ExceedsReservation,
    ReservationCommitted,
    ReservationExpired,
    ReservationReleased,
    ReservationUnknown,
)
from gifts import pending
from gifts.blocks import GiftsBlocked
from internal_api import serializers as wire
from internal_api.authentication import ServiceKeyAuthentication


class ServiceViewSet(GenericViewSet[Any]):
    """The base of all views for services."""

    authentication_classes = (ServiceKeyAuthentication,)


class BalanceViewSet(ChangesNamedAccount, ServiceViewSet):
    """A user's balance, seen and moved by services."""

    @operation("internal_balance", response=wire.ServiceBalanceSerializer)
    def balance(self, request: Request, user_id: str) -> Response:
        """What the user has; makes no row."""
        return Response(wire.SERVICE_BALANCE.represent(ledger.balance_of(named_user(user_id))))

    @operation(
        "internal_init", request=wire.InitBalanceSerializer, response=wire.BalanceRowSerializer
    )
    def init(self, request: Request) -> Response:
        """Return the user's balance row, made when there was none."""
        body = USER.parse(request.data)
        balance = ledger.ensure_balance(body["user_id"], origin=origin(request))
        return Response(wire.BALANCE_ROW.represent(balance))

    @operation(
        "internal_use",
        request=wire.ServiceUseCreditsSerializer,
        response=UseCreditsResponseSerializer,
        refuses=(InsufficientCredits, OperationUnknown, BalanceTooLarge),
    )
    def use(self, request: Request) -> Response:
        """Spend a user's credits, once per idempotency key. 402 when they do not suffice."""
        body = wire.SERVICE_USE.parse(request.data)
        posting = ledger.spend(
            body["user_id"], body["amount"], memo=memo(body), origin=origin(request, body)
        )
        return Response(USED.represent(posting))

    @operation(
        "internal_refund",
        request=wire.RefundSerializer,
        response=wire.RefundResponseSerializer,
        refuses=(UserUnknown, TransactionUnknown, ExceedsOriginal, BalanceTooLarge),
    )
    def refund(self, request: Request) -> Response:
        """Give used credits back; of a named usage at most what it took, in sum."""
        body = wire.REFUND.parse(request.data)
        posting = ledger.refund(
            body["user_id"],
            body["amount"],
            memo=memo(body),
            origin=origin(request, body),
            usage_id=body["usage_id"],
        )
        return Response(wire.REFUNDED.represent(posting))

    @operation(
        "internal_grant",
        request=wire.GrantSerializer,
        response=wire.GrantResponseSerializer,
        refuses=(BalanceTooLarge,),
    )
    def grant(self, request: Request) -> Response:
        """Give credits without payment, once per user and `referenceId`."""
        body = wire.GRANT.parse(request.data)
        posting = ledger.grant(
            body["user_id"],
            body["amount"],
            memo=_grant_memo(body),
            origin=origin(request, body),
            cause=ledger.grant_cause(body["user_id"], body["reference_id"]),
        )
        return Response(wire.GRANTED.represent(posting))


class ReservationViewSet(ChangesNamedAccount, ServiceViewSet):
    """Two-phase spends: reserve, then commit or release."""

    @operation(
        "internal_reserve",
        request=wire.ReserveSerializer,
        response=wire.ReserveResponseSerializer,
        refuses=(
            InsufficientCredits,
            OperationUnknown,
            BalanceTooLarge,
            ReservationReleased,
            ReservationExpired,
        ),
    )
    def reserve(self, request: Request) -> Response:
        """Hold credits for a spend under way. 402 when they do not suffice."""
        body = wire.RESERVE.parse(request.data)
        hold = reservations.reserve(
            body["user_id"],
            body["amount"],
            reason=body["reason"],
            origin=origin(request, body),
            ttl=timedelta(seconds=body["ttl_seconds"]),
        )
        return Response(wire.RESERVED.represent(hold))

    @operation(
        "internal_commit",
        request=wire.CommitReservationSerializer,
        response=wire.CommitReservationResponseSerializer,
        refuses=(
            ReservationUnknown,
            ReservationCommitted,
            ReservationReleased,
            ReservationExpired,
            ExceedsReservation,
            BalanceTooLarge,
        ),
    )
    def commit(self, request: Request) -> Response:
        """Spend what was reserved, or `amount` of it; the rest is released."""
        body = wire.COMMIT.parse(request.data)
        hold = reservations.commit(
            body["reservation_id"],
            origin=origin(request, body),
            amount=body["amount"],
            description=body["description"],
        )
        return Response(wire.COMMITTED.represent(hold))

    @operation(
        "internal_release",
        request=wire.ReleaseReservationSerializer,
        response=wire.ReleaseReservationResponseSerializer,
        refuses=(ReservationUnknown, ReservationCommitted, ReservationExpired),
    )
    def release(self, request: Request) -> Response:
        """Let the reserved credits go."""
        body = wire.RELEASE.parse(request.data)
        hold = reservations.release(body["reservation_id"], origin=origin(request, body))
        return Response(wire.RELEASED.represent(hold))


class GiftViewSet(ChangesNamedAccount, ServiceViewSet):
    """Gifts that wait for somebody to register."""

    @operation(
        "internal_redeem_pending",
        request=wire.RedeemPendingGiftsSerializer,
        response=wire.RedeemPendingGiftsResponseSerializer,
        refuses=(GiftsBlocked, BalanceTooLarge),
    )
    def redeem_pending(self, request: Request) -> Response:
        """Redeem the gifts that wait for the user's e-mail address, at most 1,000 of them."""
        body = wire.REDEEM_PENDING.parse(request.data)
        # Each gift arrives once in any case. One key cannot stand for the movements of several.
        unkeyed = origin(request)._replace(key=None)
        arrived = pending.redeem_pending(**body, origin=unkeyed, now=datetime.now(UTC))
        return Response(wire.ARRIVED.represent(arrived))


def _grant_memo(body: dict[str, Any]) -> Memo:
    return Memo(
        "community",
        body.get("description") or f"Reward: {body['reason']}",
        {"reason": body["reason"], "referenceId": body["reference_id"]},
    )
