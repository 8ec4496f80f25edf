import django.contrib.postgres.indexes
from django.db import migrations, models
from django.db.models import F


def date_what_moved(apps, schema_editor):
    """Let returns of before say when their money moved, as well as is known."""
    returns = apps.get_model("credits", "Return").objects
    returns.filter(state__in=["gone", "returned"]).update(gone_at=F("created_at"))
    returns.filter(state="returned").update(returned_at=F("created_at"))


class Migration(migrations.Migration):
    """Daily sums for the figures of the back office, and the ways to find a day."""

    dependencies = [
        ('credits', '0009_job_runs'),
    ]

    operations = [
        migrations.CreateModel(
            name='DailyRevenue',
            fields=[
                ('date', models.DateField(primary_key=True, serialize=False)),
                ('purchases', models.BigIntegerField(db_default=0)),
                ('sold_cents', models.BigIntegerField(db_default=0)),
                ('gone_cents', models.BigIntegerField(db_default=0)),
                ('recovered_cents', models.BigIntegerField(db_default=0)),
            ],
            options={
                'db_table': '"credits"."daily_revenue"',
                'constraints': [models.CheckConstraint(condition=models.Q(('gone_cents__gte', 0), ('recovered_cents__gte', 0), ('sold_cents__gte', models.F('purchases'))), name='daily_revenue_not_negative')],
            },
        ),
        migrations.CreateModel(
            name='DailyTotal',
            fields=[
                ('pk', models.CompositePrimaryKey('date', 'type', 'app_id', 'operation', blank=True, editable=False, primary_key=True, serialize=False)),
                ('date', models.DateField()),
                ('type', models.CharField(max_length=16)),
                ('app_id', models.CharField(max_length=100)),
                ('operation', models.CharField(blank=True, max_length=64)),
                ('credits_in', models.DecimalField(db_default=0, decimal_places=4, max_digits=20)),
                ('credits_out', models.DecimalField(db_default=0, decimal_places=4, max_digits=20)),
                ('transactions', models.BigIntegerField()),
            ],
            options={
                'db_table': '"credits"."daily_totals"',
                'constraints': [models.CheckConstraint(condition=models.Q(('credits_in__gte', 0), ('credits_out__gte', 0)), name='daily_total_credits_not_negative'), models.CheckConstraint(condition=models.Q(('transactions__gt', 0), models.Q(('credits_in__gt', 0), ('credits_out__gt', 0), _connector='OR')), name='daily_total_sums_transactions')],
            },
        ),
        migrations.AddField(
            model_name='return',
            name='gone_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='return',
            name='returned_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.RunPython(date_what_moved, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name='return',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('gone_at__isnull', False), ('state__in', ['gone', 'returned'])), models.Q(models.Q(('state__in', ['gone', 'returned']), _negated=True), ('gone_at__isnull', True)), _connector='OR'), name='return_moved_says_when'),
        ),
        migrations.AddConstraint(
            model_name='return',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('returned_at__isnull', False), ('state', 'returned')), models.Q(models.Q(('state', 'returned'), _negated=True), ('returned_at__isnull', True)), _connector='OR'), name='return_that_came_back_says_when'),
        ),
        migrations.AddIndex(
            model_name='purchase',
            index=models.Index(condition=models.Q(('completed_at__isnull', False)), fields=['completed_at'], name='purchase_completed_idx'),
        ),
        migrations.AddIndex(
            model_name='transaction',
            index=django.contrib.postgres.indexes.BrinIndex(autosummarize=True, fields=['created_at'], opclasses=['timestamptz_minmax_multi_ops'], name='transaction_created_idx', pages_per_range=32),
        ),
        migrations.AddIndex(
            model_name='usagestat',
            index=models.Index(fields=['date'], name='usage_by_date_idx'),
        ),
    ]
