"""Django app configuration of the development tools."""

from django.apps import AppConfig


class DevelopmentConfig(AppConfig):
    """Contains commands and no models."""

    name = "mana_credits.dev"
