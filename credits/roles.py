"""Roles of operators: Django groups that migrations create."""

from collections.abc import Collection, Mapping
from typing import Any

from django.contrib.auth.management import create_permissions

SUPPORT = "Support"
FINANCE = "Finance"
AUDITOR = "Auditor"
ADMINISTRATOR = "Administrator"
ALL = (SUPPORT, FINANCE, AUDITOR, ADMINISTRATOR)


def give(apps: Any, app_label: str, permissions: Mapping[str, Collection[str]]) -> None:
    """Grant an app's permissions (codename → roles) to the roles, in a migration.

    `apps` is the migration's app registry. Other permissions of the roles are kept.
    """
    config = apps.get_app_config(app_label)
    # create_permissions skips an app without a models module, as in a migration's registry.
    config.models_module = True
    create_permissions(config, apps=apps, verbosity=0)
    config.models_module = None
    for codename, roles in permissions.items():
        permission = apps.get_model("auth", "Permission").objects.get(
            content_type__app_label=app_label, codename=codename
        )
        for role in roles:
            group, _ = apps.get_model("auth", "Group").objects.get_or_create(name=role)
            group.permissions.add(permission)
