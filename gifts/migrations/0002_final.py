from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    """The triggers that keep final states final and redemptions as they are."""

    dependencies = [("gifts", "0001_initial")]

    operations = [
        migrations.RunSQL(
            sql=(SQL / "0002_final.sql").read_text(),
            reverse_sql=(SQL / "0002_final_undo.sql").read_text(),
        ),
    ]
