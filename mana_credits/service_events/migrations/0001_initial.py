import credits.ids
import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

from credits import roles
from credits.ledger.sql_files import install
from credits.roles import ADMINISTRATOR, ALL, FINANCE

MAY = {
    **{f"view_{model}": ALL for model in ("eventsubscription", "eventmessage")},
    "manage_event_subscriptions": (ADMINISTRATOR,),
    "replay_event_messages": (FINANCE, ADMINISTRATOR),
}


def make_roles(apps, schema_editor):
    roles.give(apps, "service_events", MAY)


class Migration(migrations.Migration):
    """Subscriptions of services, messages of events, their triggers, and what roles may do."""

    initial = True

    dependencies = [
        ('credits', '0001_initial'),
    ]

    operations = [
        migrations.RunSQL("CREATE SEQUENCE credits.event_numbers", migrations.RunSQL.noop),
        migrations.CreateModel(
            name='EventSubscription',
            fields=[
                ('id', models.UUIDField(default=credits.ids.new_id, primary_key=True, serialize=False)),
                ('service', models.CharField(max_length=64)),
                ('url', models.CharField(max_length=2000)),
                ('events', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=32), size=None)),
                ('secret', models.CharField(max_length=500)),
                ('prior_secret', models.CharField(max_length=500, null=True)),
                ('prior_secret_until', models.DateTimeField(null=True)),
                ('failures', models.IntegerField(db_default=0)),
                ('retry_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField()),
                ('created_by', models.CharField(max_length=150)),
                ('paused_at', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': '"credits"."event_subscriptions"',
                'permissions': (('manage_event_subscriptions', 'Can create, rotate, pause and end subscriptions'), ('replay_event_messages', 'Can send messages of events again')),
                'constraints': [models.CheckConstraint(condition=models.Q(('service', ''), _negated=True), name='event_subscription_service_not_empty'), models.CheckConstraint(condition=models.Q(('events__contained_by', ['credits.added', 'balance.low', 'balance.depleted', 'purchase.completed', 'purchase.refunded', 'gift.redeemed', 'subscription.paused', 'spending_limit.reached', 'credits.expiring']), ('events__len__gt', 0)), name='event_subscription_events_known'), models.CheckConstraint(condition=models.Q(models.Q(('prior_secret__isnull', True), ('prior_secret_until__isnull', True)), models.Q(('prior_secret__isnull', False), ('prior_secret_until__isnull', False)), _connector='OR'), name='event_subscription_prior_secret_ends')],
            },
        ),
        migrations.CreateModel(
            name='EventMessage',
            fields=[
                ('id', models.UUIDField(default=credits.ids.new_id, primary_key=True, serialize=False)),
                ('number', models.BigIntegerField(db_default=models.Func(models.Value('credits.event_numbers'), function='nextval'))),
                ('user_id', models.CharField(max_length=255)),
                ('event', models.CharField(max_length=32)),
                ('data', models.JSONField()),
                ('status', models.CharField(choices=[('pending', 'Pending'), ('delivered', 'Delivered'), ('parked', 'Parked')], db_default='pending', max_length=16)),
                ('attempts', models.IntegerField(db_default=0)),
                ('first_attempt_at', models.DateTimeField(null=True)),
                ('due_at', models.DateTimeField()),
                ('last_error', models.CharField(blank=True, db_default='', max_length=500)),
                ('created_at', models.DateTimeField()),
                ('delivered_at', models.DateTimeField(null=True)),
                ('subscription', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, to='service_events.eventsubscription')),
            ],
            options={
                'db_table': '"credits"."event_messages"',
                'indexes': [models.Index(fields=['user_id'], name='event_message_user_idx'), models.Index(fields=['-number', '-id'], name='event_message_newest_idx'), models.Index(condition=models.Q(('status', 'pending')), fields=['subscription', 'due_at'], name='event_message_due_idx'), models.Index(condition=models.Q(('status', 'pending')), fields=['subscription', 'user_id', 'number'], name='event_message_order_idx'), models.Index(condition=models.Q(('status', 'parked')), fields=['subscription'], name='event_message_parked_idx'), models.Index(condition=models.Q(('status', 'delivered')), fields=['delivered_at'], name='event_message_delivered_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(('status__in', ['pending', 'delivered', 'parked'])), name='event_message_status_known'), models.CheckConstraint(condition=models.Q(models.Q(('delivered_at__isnull', False), ('status', 'delivered')), models.Q(models.Q(('status', 'delivered'), _negated=True), ('delivered_at__isnull', True)), _connector='OR'), name='event_message_delivered_says_when')],
            },
        ),
        *install(
            "mana_credits.service_events",
            "announce",
            "announce_transaction",
            "announce_pause",
            "announce_low_balance",
            "announce_limit",
            "announce_expiring",
        ),
        migrations.RunPython(make_roles, migrations.RunPython.noop),
    ]
