"""Django app configuration of the import of the earlier service's data."""

from django.apps import AppConfig


class LegacyImportConfig(AppConfig):
    """Contains a command and no models."""

    name = "mana_credits.legacy_import"
