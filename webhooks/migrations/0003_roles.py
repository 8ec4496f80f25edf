from django.db import migrations

from credits import roles
from credits.roles import ADMINISTRATOR, ALL, FINANCE

MAY = {"view_stripeevent": ALL, "process_event": (FINANCE, ADMINISTRATOR)}


def make_roles(apps, schema_editor):
    roles.give(apps, "webhooks", MAY)


class Migration(migrations.Migration):
    """What each role may do with Stripe's events."""

    dependencies = [("webhooks", "0002_back_office"), ("credits", "0021_roles")]
    operations = [migrations.RunPython(make_roles, migrations.RunPython.noop)]
