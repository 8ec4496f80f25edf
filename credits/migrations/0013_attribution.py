from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "ledger" / "sql"
BEFORE = (SQL / "0006_operations.sql").read_text()
TRIGGER_BEFORE = BEFORE[
    BEFORE.index("CREATE OR REPLACE FUNCTION credits.refuse"):BEFORE.index("-- What p_quantity")
]


class Migration(migrations.Migration):
    """The append-only trigger lets an old usage be attributed to an operation."""

    dependencies = [("credits", "0012_package_changes")]

    operations = [
        migrations.RunSQL(
            sql=(SQL / "0013_attribution.sql").read_text(),
            reverse_sql=TRIGGER_BEFORE,
        ),
    ]
