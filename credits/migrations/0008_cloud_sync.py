import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Cloud Sync subscriptions."""

    dependencies = [
        ('credits', '0007_outbox'),
    ]

    operations = [
        migrations.CreateModel(
            name='SyncSubscription',
            fields=[
                ('user_id', models.CharField(max_length=255, primary_key=True, serialize=False)),
                ('interval', models.CharField(choices=[('monthly', 'Monthly'), ('quarterly', 'Quarterly'), ('yearly', 'Yearly')], db_default='monthly', max_length=16)),
                ('renews', models.BooleanField(db_default=False)),
                ('anchor_day', models.SmallIntegerField(null=True)),
                ('paid_from', models.DateTimeField(null=True)),
                ('paid_until', models.DateTimeField(null=True)),
                ('paused_at', models.DateTimeField(null=True)),
                ('gifted_at', models.DateTimeField(null=True)),
                ('gifted_by', models.CharField(max_length=264, null=True)),
                ('language', models.CharField(blank=True, db_default='', max_length=2)),
                ('created_at', models.DateTimeField()),
                ('updated_at', models.DateTimeField()),
                ('charge', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, to='credits.transaction')),
            ],
            options={
                'db_table': '"credits"."sync_subscriptions"',
                'indexes': [models.Index(condition=models.Q(('gifted_at__isnull', True), ('renews', True)), fields=['paid_until', 'user_id'], name='sync_due_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(('user_id', ''), _negated=True), name='sync_user_id_not_empty'), models.CheckConstraint(condition=models.Q(('interval__in', ['monthly', 'quarterly', 'yearly'])), name='sync_interval_known'), models.CheckConstraint(condition=models.Q(models.Q(('anchor_day__isnull', True), ('paid_from__isnull', True), ('paid_until__isnull', True)), models.Q(('anchor_day__isnull', False), ('anchor_day__range', (1, 31)), ('paid_from__isnull', False), ('paid_until__gt', models.F('paid_from')), ('paid_until__isnull', False)), _connector='OR'), name='sync_paid_period_is_whole'), models.CheckConstraint(condition=models.Q(('renews', False), ('paid_until__isnull', False), _connector='OR'), name='sync_renews_what_was_paid'), models.CheckConstraint(condition=models.Q(('paused_at__isnull', True), models.Q(('gifted_at__isnull', True), ('renews', False)), _connector='OR'), name='sync_paused_does_not_renew'), models.CheckConstraint(condition=models.Q(models.Q(('gifted_at__isnull', True), ('gifted_by__isnull', True)), models.Q(('gifted_at__isnull', False), ('gifted_by__isnull', False)), _connector='OR'), name='sync_gift_has_a_giver')],
            },
        ),
    ]
