"""Django's configuration of the app `webhooks`."""

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    """The app that owns `credits.stripe_events`."""

    name = "webhooks"
    default_auto_field = "django.db.models.BigAutoField"
