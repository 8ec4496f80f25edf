from django.db import migrations, models


class Migration(migrations.Migration):
    """People whose long histories the worker is going to erase."""

    dependencies = [
        ('credits', '0024_checks_of_the_ledger'),
    ]

    operations = [
        migrations.CreateModel(
            name='ErasureRequest',
            fields=[
                ('user_id', models.CharField(max_length=255, primary_key=True, serialize=False)),
                ('known_rows', models.BigIntegerField()),
                ('requested_at', models.DateTimeField()),
            ],
            options={
                'db_table': '"credits"."erasure_requests"',
            },
        ),
    ]
