"""Django's entry for the app `gifts`."""

from django.apps import AppConfig


class GiftsConfig(AppConfig):
    """The app that owns the schema `gifts`."""

    name = "gifts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Have gifts checked with the books, erased with a person's data, and imported."""
        from credits import erasure  # noqa: PLC0415  # models are not loaded before
        from credits.books import add_rules  # noqa: PLC0415
        from credits.legacy.parts import add_part  # noqa: PLC0415
        from gifts import legacy  # noqa: PLC0415
        from gifts.books import RULES  # noqa: PLC0415
        from gifts.privacy import ROWS  # noqa: PLC0415

        add_rules(RULES)
        erasure.add_rows(ROWS)
        add_part(legacy.PART)
