"""Django's configuration of the app `gifts`."""

from django.apps import AppConfig


class GiftsConfig(AppConfig):
    """The app that owns the schema `gifts`."""

    name = "gifts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the rules of gifts, and the block that stops automatic top-ups."""
        from credits.ledger.books import add_rules  # noqa: PLC0415  # models come first
        from credits.payments import top_up_charges  # noqa: PLC0415
        from gifts.blocks import is_blocked  # noqa: PLC0415
        from gifts.books import RULES  # noqa: PLC0415

        add_rules(RULES)
        top_up_charges.blocked_by.append(is_blocked)
