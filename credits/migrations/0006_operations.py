from pathlib import Path

from django.db import migrations, models


SQL = Path(__file__).resolve().parent.parent / "ledger" / "sql"
LEDGER = (SQL / "0002_ledger.sql").read_text()
FUNCTIONS_BEFORE = LEDGER[LEDGER.index("-- What a movement came to"):]
TRIGGER_BEFORE = LEDGER[
    LEDGER.index("CREATE FUNCTION credits.refuse"):LEDGER.index("CREATE TRIGGER")
].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")


class Migration(migrations.Migration):
    """Spends and reservations by operation, which keep the price they were made at."""

    dependencies = [
        ('credits', '0005_catalogue'),
    ]

    operations = [
        migrations.AddField(
            model_name='reservation',
            name='operation',
            field=models.CharField(max_length=64, null=True),
        ),
        migrations.AddField(
            model_name='reservation',
            name='quantity',
            field=models.IntegerField(null=True),
        ),
        migrations.AddField(
            model_name='reservation',
            name='unit_cost',
            field=models.DecimalField(decimal_places=4, max_digits=15, null=True),
        ),
        migrations.AddField(
            model_name='transaction',
            name='operation',
            field=models.CharField(max_length=64, null=True),
        ),
        migrations.AddField(
            model_name='transaction',
            name='quantity',
            field=models.IntegerField(null=True),
        ),
        migrations.AddField(
            model_name='transaction',
            name='unit_cost',
            field=models.DecimalField(decimal_places=4, max_digits=15, null=True),
        ),
        migrations.AddConstraint(
            model_name='reservation',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('operation__isnull', True), ('quantity__isnull', True), ('unit_cost__isnull', True)), models.Q(('operation__isnull', False), ('quantity__gt', 0), ('quantity__isnull', False), ('unit_cost__gt', 0), ('unit_cost__isnull', False)), _connector='OR'), name='reservation_operation_has_its_price'),
        ),
        migrations.AddConstraint(
            model_name='transaction',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('operation__isnull', True), ('quantity__isnull', True), ('unit_cost__isnull', True)), models.Q(('operation__isnull', False), ('quantity__gt', 0), ('quantity__isnull', False), ('unit_cost__gt', 0), ('unit_cost__isnull', False)), _connector='OR'), name='transaction_operation_has_its_price'),
        ),
        migrations.AddConstraint(
            model_name='transaction',
            constraint=models.CheckConstraint(condition=models.Q(('operation__isnull', True), ('type', 'usage'), _connector='OR'), name='transaction_operation_is_a_usage'),
        ),
        migrations.RunSQL(
            sql=(SQL / "0006_operations.sql").read_text(),
            reverse_sql=(SQL / "0006_operations_undo.sql").read_text()
            + TRIGGER_BEFORE
            + FUNCTIONS_BEFORE,
        ),
    ]
