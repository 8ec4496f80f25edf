"""Views of the automatic top-up (`/api/v1/credits/auto-top-up`, user token)."""

from datetime import UTC, datetime
from typing import Any

from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from credits.api.account_views import ChangesAccount
from credits.api.openapi import operation
from credits.api.top_up_serializers import (
    SAVE_TOP_UP,
    SET_UP,
    START_SET_UP,
    TOP_UP,
    SaveTopUpSerializer,
    SetUpTopUpResponseSerializer,
    SetUpTopUpSerializer,
    TopUp,
    TopUpSerializer,
)
from credits.api.wire_responses import WireResponse
from credits.api.wire_serializers import language, origin, user
from credits.ledger.settings_changes import SettingsChanged
from credits.payments import auto_top_up
from credits.payments.auto_top_up import LISTED, CardNotSaved
from credits.payments.packages import PackageUnknown
from credits.payments.stripe_errors import PageRefused, PaymentUnavailable


class TopUpViewSet(ChangesAccount, GenericViewSet[Any]):
    """The user's automatic top-up: off until the user saves a card and agrees."""

    account_place = "purchase:"  # it waits for Stripe and must not block spends

    @operation("auto_top_up", response=TopUpSerializer)
    def read(self, request: Request) -> WireResponse:
        """Return what the user agreed to, and the purchases that it made."""
        return self._answer(user(request).id)

    @operation(
        "set_up_auto_top_up",
        request=SetUpTopUpSerializer,
        response=SetUpTopUpResponseSerializer,
        refuses=(PageRefused, PaymentUnavailable),
    )
    def set_up(self, request: Request) -> WireResponse:
        """Start saving a card. Nothing is bought before the user agrees."""
        owner = user(request)
        pages = START_SET_UP.parse(request.data)["pages"]
        started = auto_top_up.set_up(
            owner.id, pages=pages, email=owner.email, now=datetime.now(UTC)
        )
        return WireResponse(SET_UP.represent(started))

    @operation(
        "save_auto_top_up",
        request=SaveTopUpSerializer,
        response=TopUpSerializer,
        refuses=(CardNotSaved, PackageUnknown, PaymentUnavailable, SettingsChanged),
    )
    def save(self, request: Request) -> WireResponse:
        """Switch the top-up on, change it or resume it. The agreement is recorded."""
        parsed = SAVE_TOP_UP.parse(request.data)
        auto_top_up.agree(
            user(request).id,
            parsed["wanted"],
            seen=parsed["seen"],
            origin=origin(request),
            now=datetime.now(UTC),
            language=language(request),
        )
        return self._answer(user(request).id)

    @operation("switch_off_auto_top_up", response=TopUpSerializer)
    def switch_off(self, request: Request) -> WireResponse:
        """Switch the top-up off at once."""
        auto_top_up.switch_off(user(request).id, origin=origin(request))
        return self._answer(user(request).id)

    def _answer(self, user_id: str) -> WireResponse:
        made = list(auto_top_up.purchases_of(user_id)[:LISTED])
        return WireResponse(TOP_UP.represent(TopUp(auto_top_up.of_user(user_id), made)))
