"""Django app configuration of the composition root."""

from django.apps import AppConfig


class CompositionRootConfig(AppConfig):
    """Connects the apps. It registers system checks and has no models."""

    name = "mana_credits"

    def ready(self) -> None:
        """Register the system checks."""
        from mana_credits import checks, database_role  # noqa: F401, PLC0415  # need loaded models
