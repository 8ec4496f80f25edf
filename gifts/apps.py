"""Django's entry for the app `gifts`."""

from django.apps import AppConfig


class GiftsConfig(AppConfig):
    """The app that owns the schema `gifts`."""

    name = "gifts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Have gifts checked, erased, imported, told and found with the rest of an account."""
        from credits import erasure, searching, timeline  # noqa: PLC0415  # models come first
        from credits.book_rules import add_rules  # noqa: PLC0415
        from credits.legacy.parts import add_part  # noqa: PLC0415
        from gifts import history, legacy  # noqa: PLC0415
        from gifts.books import RULES  # noqa: PLC0415
        from gifts.privacy import ROWS  # noqa: PLC0415

        add_rules(RULES)
        erasure.add_rows(ROWS)
        add_part(legacy.PART)
        timeline.add_source("gifts sent", history.sent)
        timeline.add_source("gifts received", history.received)
        searching.add_finder(history.by_code)
        searching.add_finder(history.by_email)
