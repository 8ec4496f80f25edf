"""Django's configuration of the app `gifts`."""

from django.apps import AppConfig


class GiftsConfig(AppConfig):
    """The app that owns the schema `gifts`."""

    name = "gifts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the rules of gifts with those of the ledger."""
        from credits.ledger.books import add_rules  # noqa: PLC0415  # models come first
        from gifts.books import RULES  # noqa: PLC0415

        add_rules(RULES)
