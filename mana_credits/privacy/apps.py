"""Django app configuration of erasure and export."""

from django.apps import AppConfig


class PrivacyConfig(AppConfig):
    """Contains commands and no models."""

    name = "mana_credits.privacy"
