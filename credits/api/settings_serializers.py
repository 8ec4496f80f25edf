"""Serializers of the user's settings."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from credits.api.wire_fields import (
    APP_ID_LENGTH,
    AmountField,
    ShortTextField,
    TextField,
    ThresholdField,
    TimestampField,
)
from credits.api.wire_serializers import WireSerializer
from credits.controls.account_settings import NewSettings

LONGEST_LIST = 100
ALL_SETTINGS = ("lowBalance", "monthlyLimit", "appLimits")
NO_SETTING = "At least one setting is required; null switches it off."


class SeenVersion(ShortTextField):
    """The optional version of the settings that the client has read."""

    def __init__(self) -> None:
        super().__init__(
            max_length=64,
            required=False,
            allow_null=True,
            help_text="The `version` that the client has read. If another one is current, the"
            " request is refused with `settings_changed`. Without it, the request overwrites any"
            " version.",
        )


class AppLimitSerializer(WireSerializer):
    """A monthly limit in one app."""

    appId = ShortTextField(source="app_id", max_length=APP_ID_LENGTH, help_text="The app.")
    monthlyLimit = ThresholdField(
        source="amount", help_text="The most credits to spend in the app in a UTC month."
    )


class AppSpendingSerializer(AppLimitSerializer):
    """A monthly limit in one app and what counts against it."""

    spent = AmountField(
        help_text="Credits spent in the app in this UTC month, with those held by reservations."
    )


APP_LIMIT = AppLimitSerializer()


@extend_schema_field(AppLimitSerializer(many=True))
class AppLimitsField(serializers.Field[Any, Any, Any, Any]):
    """A list of at most 100 limits, one for each app."""

    default_error_messages = {
        "type": "A list of at most 100 limits is expected.",
        "repeated": "An app has at most one limit.",
    }

    def to_internal_value(self, data: object) -> Any:
        """Return the limits by app."""
        if not isinstance(data, list) or len(data) > LONGEST_LIST:
            self.fail("type")
        limits = _parsed(data)
        by_app = {limit["app_id"]: limit["amount"] for limit in limits}
        if len(by_app) < len(limits):
            self.fail("repeated")
        return by_app


def _parsed(items: Sequence[object]) -> list[dict[str, Any]]:
    """Return the limits. Raises ValidationError with a sentence for each invalid value."""
    limits, errors = [], []
    for place, item in enumerate(items, start=1):
        try:
            limits.append(APP_LIMIT.parse(item))
        except serializers.ValidationError as error:
            details = cast("dict[str, list[str]]", error.detail)
            errors += [
                f"Limit {place}, {name}: {sentence}"
                for name, sentences in details.items()
                for sentence in sentences
            ]
    if errors:
        raise serializers.ValidationError(errors)
    return limits


class SaveSettingsSerializer(WireSerializer):
    """All settings, at least one of them. A missing or null setting is switched off."""

    lowBalance = ThresholdField(
        source="low_balance",
        required=False,
        allow_null=True,
        help_text="Send a notice when the balance falls to this many credits.",
    )
    monthlyLimit = ThresholdField(
        source="monthly_limit",
        required=False,
        allow_null=True,
        help_text="The most credits to spend in all apps in a UTC month.",
    )
    appLimits = AppLimitsField(
        source="app_limits",
        required=False,
        allow_null=True,
        help_text="Monthly limits of single apps.",
    )
    version = SeenVersion()

    def parse(self, data: object) -> dict[str, Any]:
        """Return the settings and the version that was seen. Raises ValidationError."""
        parsed = super().parse(data)
        # A body that names no setting is probably a mistake, and would switch off all limits.
        if not cast("Mapping[str, Any]", data).keys() & set(ALL_SETTINGS):
            raise serializers.ValidationError({name: [NO_SETTING] for name in ALL_SETTINGS})
        return parsed

    def validate(self, attrs: Any) -> Any:
        """Return the settings and the version that was seen as the domain takes them."""
        seen = attrs.pop("version", None)
        app_limits = attrs.pop("app_limits", None) or {}
        return {"wanted": NewSettings(**attrs, app_limits=app_limits), "seen": seen}


class SettingsSerializer(WireSerializer):
    """The user's settings, and what was spent in this UTC month where there is a limit."""

    lowBalance = ThresholdField(
        source="low_balance",
        allow_null=True,
        help_text="The balance at which a notice is sent; null if none is.",
    )
    monthlyLimit = ThresholdField(
        source="monthly_limit", allow_null=True, help_text="The limit over all apps, or null."
    )
    spent = AmountField(
        allow_null=True,
        help_text="Credits spent in this UTC month, with those held; null without a limit.",
    )
    appLimits = AppSpendingSerializer(
        source="app_limits", many=True, help_text="The limits of single apps."
    )
    updatedAt = TimestampField(
        source="updated_at", allow_null=True, help_text="When the settings were last changed."
    )
    version = TextField(help_text="The version of the settings, for the next `PUT`.")


SAVE_SETTINGS = SaveSettingsSerializer()
SETTINGS = SettingsSerializer()
