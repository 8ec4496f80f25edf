"""Django's entry for the app `gifts`."""

from django.apps import AppConfig


class GiftsConfig(AppConfig):
    """The app that owns the schema `gifts`."""

    name = "gifts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Have gifts checked, erased, told and found with the rest of what an account has."""
        from credits import erasure, searching, timeline  # noqa: PLC0415  # models are not loaded before
        from credits.books import add_rules  # noqa: PLC0415
        from gifts import history  # noqa: PLC0415
        from gifts.books import RULES  # noqa: PLC0415
        from gifts.privacy import ROWS  # noqa: PLC0415

        add_rules(RULES)
        erasure.add_rows(ROWS)
        timeline.add_source("gifts sent", history.sent)
        timeline.add_source("gifts received", history.received)
        searching.add_finder(history.by_code)
        searching.add_finder(history.by_email)
