from django.db import migrations

from credits import roles
from credits.roles import ADMINISTRATOR, ALL, FINANCE, SUPPORT

LOOK = ("campaign", "giftblock", "giftcode", "giftmisses", "giftredemption")
MAY = {
    **{f"view_{model}": ALL for model in LOOK},
    "cancel_gift": (SUPPORT, FINANCE, ADMINISTRATOR),
    "extend_gift": (SUPPORT, FINANCE, ADMINISTRATOR),
    "block_user": (SUPPORT, FINANCE, ADMINISTRATOR),
    "view_codes": (FINANCE, ADMINISTRATOR),
}


def make_roles(apps, schema_editor):
    roles.give(apps, "gifts", MAY)


class Migration(migrations.Migration):
    """What support, finance, auditor and administrator may do with gifts."""

    dependencies = [("gifts", "0003_blocks"), ("credits", "0021_roles")]
    operations = [migrations.RunPython(make_roles, migrations.RunPython.noop)]
