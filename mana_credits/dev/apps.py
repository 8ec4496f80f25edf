"""Django's entry for what only developers use."""

from django.apps import AppConfig


class Development(AppConfig):
    """Has commands, and no models."""

    name = "mana_credits.dev"
