from django.db import migrations, models


class Migration(migrations.Migration):
    """How far each user's books were verified, and the full checks of the ledger."""

    dependencies = [
        ('credits', '0023_email_of_customers'),
    ]

    operations = [
        migrations.CreateModel(
            name='CheckedBalance',
            fields=[
                ('user_id', models.CharField(max_length=255, primary_key=True, serialize=False)),
                ('version', models.BigIntegerField()),
                ('last_number', models.BigIntegerField()),
                ('posted', models.DecimalField(decimal_places=4, max_digits=15)),
                ('held', models.DecimalField(decimal_places=4, max_digits=15)),
                ('total_earned', models.DecimalField(decimal_places=4, max_digits=15)),
                ('total_spent', models.DecimalField(decimal_places=4, max_digits=15)),
                ('used', models.DecimalField(decimal_places=4, max_digits=24)),
                ('usages', models.BigIntegerField()),
                ('full_check', models.BigIntegerField(null=True)),
            ],
            options={
                'db_table': '"credits"."checked_balances"',
            },
        ),
        migrations.CreateModel(
            name='LedgerCheck',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('started_at', models.DateTimeField()),
                ('finished_at', models.DateTimeField(null=True)),
                ('discrepancies', models.BigIntegerField(db_default=0)),
            ],
            options={
                'db_table': '"credits"."ledger_checks"',
                'constraints': [models.CheckConstraint(condition=models.Q(('finished_at__isnull', True), ('finished_at__gte', models.F('started_at')), _connector='OR'), name='ledger_check_finishes_after_its_start')],
            },
        ),
    ]
