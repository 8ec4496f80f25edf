"""Django's entry for the composition root."""

from django.apps import AppConfig


class CompositionRoot(AppConfig):
    """Puts the apps together; has system checks, and no models."""

    name = "mana_credits"

    def ready(self) -> None:
        """Register the checks."""
        from mana_credits import checks  # noqa: F401, PLC0415
