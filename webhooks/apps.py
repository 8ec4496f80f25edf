"""Django's entry for the app `webhooks`."""

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    """The app that owns `credits.stripe_events`."""

    name = "webhooks"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Have events erased with the rest of a person's data, and told of in timelines."""
        from credits import erasure, timeline  # noqa: PLC0415  # models are not loaded before
        from webhooks import telling  # noqa: PLC0415
        from webhooks.privacy import ROWS  # noqa: PLC0415

        erasure.add_rows(ROWS)
        timeline.add_source(telling.KIND, telling.of_user)
        timeline.add_to_purchases(telling.of_purchase)
