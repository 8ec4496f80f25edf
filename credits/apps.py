"""Django's configuration of the app `credits`."""

from django.apps import AppConfig


class CreditsConfig(AppConfig):
    """The app that owns the schema `credits`."""

    name = "credits"
    default_auto_field = "django.db.models.BigAutoField"
