"""Django's entry for erasure and export."""

from django.apps import AppConfig


class Privacy(AppConfig):
    """Has commands, and no models."""

    name = "mana_credits.privacy"
