"""Django app configuration of the composition root."""

from django.apps import AppConfig


class CompositionRoot(AppConfig):
    """Connects the apps. It registers system checks and has no models."""

    name = "mana_credits"

    def ready(self) -> None:
        """Register the system checks and the tables that an erasure covers in each app."""
        from mana_credits import checks, database_role  # noqa: F401, PLC0415  # need loaded models
        from mana_credits.privacy import (  # noqa: PLC0415
            announcement_erasure,
            erasure,
            event_erasure,
            gift_erasure,
        )

        erasure.add_rows(gift_erasure.ROWS)
        erasure.add_rows(event_erasure.ROWS)
        erasure.add_rows(announcement_erasure.ROWS)
