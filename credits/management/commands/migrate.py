"""`manage.py migrate`: Django's command, then the grants of the service's role."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.core.management.commands import migrate

from credits.ledger import grants
from credits.ledger.grants import RoleMissing


class Command(migrate.Command):
    """Migrates as the owner, and grants the role in DATABASE_URL what the service needs."""

    def handle(self, *arguments: Any, **options: Any) -> None:
        """Migrate. Then create the role of the service if it is missing, and grant its rights."""
        super().handle(*arguments, **options)
        if settings.SERVICE_ROLE is None or options["plan"]:
            return
        try:
            grants.apply(settings.SERVICE_ROLE)
        except RoleMissing as error:
            raise CommandError(str(error)) from error
