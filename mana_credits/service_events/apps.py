"""Django's configuration of the app `service_events`."""

from django.apps import AppConfig


class ServiceEventsConfig(AppConfig):
    """The app that owns the subscriptions of services and their messages."""

    name = "mana_credits.service_events"
