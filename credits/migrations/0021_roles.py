from django.db import migrations

from credits import roles
from credits.roles import ADMINISTRATOR, ALL, AUDITOR, FINANCE, SUPPORT

LOOK = (
    "adjustmentrequest",
    "balance",
    "jobrun",
    "operation",
    "operationprice",
    "outboxmessage",
    "package",
    "purchase",
    "reservation",
    "return",
    "staffaction",
    "stripecustomer",
    "syncsubscription",
    "transaction",
    "usagestat",
)
MAY = {
    **{f"view_{model}": ALL for model in LOOK},
    "adjust_balance": (SUPPORT, FINANCE, ADMINISTRATOR),
    "release_reservation": (SUPPORT, FINANCE, ADMINISTRATOR),
    "approve_adjustment": (FINANCE, ADMINISTRATOR),
    "reverse_transaction": (FINANCE, ADMINISTRATOR),
    "refund_purchase": (FINANCE, ADMINISTRATOR),
    "resolve_quarantine": (FINANCE, ADMINISTRATOR),
    "give_sync": (FINANCE, ADMINISTRATOR),
    "change_packages": (FINANCE, ADMINISTRATOR),
    "change_prices": (FINANCE, ADMINISTRATOR),
    "retry_message": (FINANCE, ADMINISTRATOR),
    "export_rows": (FINANCE, AUDITOR, ADMINISTRATOR),
    "manage_staff": (ADMINISTRATOR,),
}


def make_roles(apps, schema_editor):
    roles.give(apps, "credits", MAY)


class Migration(migrations.Migration):
    """Support, finance, auditor, administrator: what each may do with credits."""

    dependencies = [
        ("credits", "0020_staff"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(make_roles, migrations.RunPython.noop)]
