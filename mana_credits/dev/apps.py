"""Django app configuration of the development tools."""

from django.apps import AppConfig


class Development(AppConfig):
    """Contains commands and no models."""

    name = "mana_credits.dev"
