"""Django's entry for the import of the earlier service's data."""

from django.apps import AppConfig


class LegacyImport(AppConfig):
    """Has a command, and no models."""

    name = "mana_credits.legacy_import"
