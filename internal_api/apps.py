"""Django's entry for the app `internal_api`."""

from django.apps import AppConfig


class InternalApiConfig(AppConfig):
    """The app without tables that serves `/api/v1/internal`."""

    name = "internal_api"
