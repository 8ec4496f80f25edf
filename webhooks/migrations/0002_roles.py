from django.db import migrations

from credits import roles
from credits.roles import ADMINISTRATOR, ALL, FINANCE

MAY = {"view_stripeevent": ALL, "process_event": (FINANCE, ADMINISTRATOR)}


def extend_roles(apps, schema_editor):
    roles.give(apps, "webhooks", MAY)


class Migration(migrations.Migration):
    """Everybody sees Stripe's events; finance has them processed again."""

    dependencies = [("webhooks", "0001_stripe_events"), ("credits", "0021_roles")]
    operations = [
        migrations.AlterModelOptions(
            name="stripeevent",
            options={
                "permissions": (("process_event", "Can process an event of Stripe again"),)
            },
        ),
        migrations.RunPython(extend_roles, migrations.RunPython.noop),
    ]
