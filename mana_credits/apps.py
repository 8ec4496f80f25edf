"""Django's entry for the composition root."""

from django.apps import AppConfig


class CompositionRoot(AppConfig):
    """Puts the apps together; has system checks, and no models."""

    name = "mana_credits"

    def ready(self) -> None:
        """Register the checks, and each app's part of an erasure."""
        from mana_credits import checks  # noqa: F401, PLC0415  # models are not loaded before
        from mana_credits.privacy import erasure, event_erasure, gift_erasure  # noqa: PLC0415

        erasure.add_rows(gift_erasure.ROWS)
        erasure.add_rows(event_erasure.ROWS)
