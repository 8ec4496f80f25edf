"""Django's entries for the back office: its pages, and Django's admin with our site."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class BackOfficePages(AppConfig):
    """Has pages and template tags, and no models."""

    name = "mana_credits.back_office"


class BackOfficeConfig(AdminConfig):
    """The back office."""

    default_site = "mana_credits.back_office.frame.site.BackOffice"
