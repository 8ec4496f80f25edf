from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "ledger" / "sql"


class Migration(migrations.Migration):
    """The functions that write the ledger, and the trigger that keeps history as it is."""

    dependencies = [("credits", "0001_initial")]

    operations = [
        migrations.RunSQL(
            sql=(SQL / "0002_ledger.sql").read_text(),
            reverse_sql=(SQL / "0002_ledger_undo.sql").read_text(),
        ),
    ]
