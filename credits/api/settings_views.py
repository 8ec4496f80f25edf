"""Views of the user's own settings (`/api/v1/credits/settings`, user token)."""

from datetime import UTC, datetime
from typing import Any

from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from credits.api.account_views import ChangesAccount
from credits.api.openapi import operation
from credits.api.settings_serializers import (
    SAVE_SETTINGS,
    SETTINGS,
    SaveSettingsSerializer,
    SettingsSerializer,
)
from credits.api.wire_responses import WireResponse
from credits.api.wire_serializers import language, origin, user
from credits.controls import account_settings
from credits.ledger.settings_changes import SettingsChanged


class SettingsViewSet(ChangesAccount, GenericViewSet[Any]):
    """The user's low-balance notice and spending limits."""

    @operation("settings", response=SettingsSerializer)
    def read(self, request: Request) -> WireResponse:
        """Return the user's settings, and what was spent in this UTC month."""
        now = datetime.now(UTC)
        return WireResponse(SETTINGS.represent(account_settings.of_user(user(request).id, now=now)))

    @operation(
        "save_settings",
        request=SaveSettingsSerializer,
        response=SettingsSerializer,
        refuses=(SettingsChanged,),
    )
    def save(self, request: Request) -> WireResponse:
        """Replace the user's settings. A spending limit takes effect at once."""
        parsed = SAVE_SETTINGS.parse(request.data)
        saved = account_settings.save(
            user(request).id,
            parsed["wanted"],
            seen=parsed["seen"],
            origin=origin(request),
            now=datetime.now(UTC),
            language=language(request),
        )
        return WireResponse(SETTINGS.represent(saved))
