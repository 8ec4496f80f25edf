"""Django's admin with our site."""

from django.contrib.admin.apps import AdminConfig


class BackOfficeConfig(AdminConfig):
    """The back office."""

    default_site = "credits.office.site.BackOffice"
