"""Django app configurations of the back office: its pages, and the admin with its own site."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class BackOfficePagesConfig(AppConfig):
    """Contains pages and template tags, and no models."""

    name = "mana_credits.back_office"


class BackOfficeConfig(AdminConfig):
    """Django's admin with the back office's site."""

    default_site = "mana_credits.back_office.frame.site.BackOffice"
