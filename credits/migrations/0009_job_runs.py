from django.db import migrations, models


class Migration(migrations.Migration):
    """Runs of the worker's jobs."""

    dependencies = [
        ('credits', '0008_cloud_sync'),
    ]

    operations = [
        migrations.CreateModel(
            name='JobRun',
            fields=[
                ('name', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('started_at', models.DateTimeField(null=True)),
                ('succeeded_at', models.DateTimeField(null=True)),
                ('failed_at', models.DateTimeField(null=True)),
                ('result', models.JSONField(default=dict)),
                ('error', models.CharField(blank=True, db_default='', max_length=500)),
                ('night', models.DateField(null=True)),
                ('claimed_until', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': '"credits"."job_runs"',
                'constraints': [models.CheckConstraint(condition=models.Q(('error', ''), ('failed_at__isnull', False), _connector='OR'), name='job_failure_has_its_error')],
            },
        ),
    ]
