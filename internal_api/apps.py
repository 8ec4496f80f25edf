"""Django's configuration of the app `internal_api`."""

from django.apps import AppConfig


class InternalApiConfig(AppConfig):
    """The app that owns the keys of services and serves `/api/v1/internal`."""

    name = "internal_api"
