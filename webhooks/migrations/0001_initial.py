import django.db.models.deletion
from django.db import migrations, models

from credits import roles
from credits.roles import ADMINISTRATOR, ALL, FINANCE

MAY = {"view_stripeevent": ALL, "process_event": (FINANCE, ADMINISTRATOR)}


def make_roles(apps, schema_editor):
    roles.give(apps, "webhooks", MAY)


class Migration(migrations.Migration):
    """The table of Stripe's events, and what roles may do with them."""

    initial = True

    dependencies = [
        ('credits', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='StripeEvent',
            fields=[
                ('id', models.CharField(max_length=255, primary_key=True, serialize=False)),
                ('type', models.CharField(max_length=255)),
                ('payload', models.TextField()),
                ('created_at', models.DateTimeField()),
                ('received_at', models.DateTimeField()),
                ('processed_at', models.DateTimeField(null=True)),
                ('outcome', models.CharField(choices=[('applied', 'Applied'), ('unknown', 'Unknown'), ('ignored', 'Ignored'), ('unreadable', 'Unreadable')], max_length=16, null=True)),
                ('attempts', models.IntegerField(db_default=0)),
                ('error', models.TextField(null=True)),
                ('purchase', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to='credits.purchase')),
            ],
            options={
                'db_table': '"credits"."stripe_events"',
                'permissions': (('process_event', 'Can process an event of Stripe again'),),
                'indexes': [models.Index(condition=models.Q(('processed_at__isnull', True)), fields=['created_at'], name='stripe_event_unprocessed_idx'), models.Index(fields=['-processed_at', '-received_at', '-id'], name='stripe_event_waiting_first_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(('id', ''), _negated=True), name='stripe_event_id_not_empty'), models.CheckConstraint(condition=models.Q(models.Q(('outcome__isnull', True), ('processed_at__isnull', True)), models.Q(('outcome__in', ('applied', 'unknown', 'ignored', 'unreadable')), ('processed_at__isnull', False)), _connector='OR'), name='stripe_event_processed_has_an_outcome'), models.CheckConstraint(condition=models.Q(('attempts__gte', 0)), name='stripe_event_attempts_not_negative')],
            },
        ),
        migrations.RunPython(make_roles, migrations.RunPython.noop),
    ]
