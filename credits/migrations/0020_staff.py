from pathlib import Path

import credits.ids
import django.db.models.deletion
from django.db import migrations, models


SQL = Path(__file__).resolve().parent.parent / "ledger" / "sql" / "0020_staff.sql"


class Migration(migrations.Migration):
    """The audit trail, and adjustments that wait for a second person."""


    dependencies = [
        ('credits', '0013_attribution'),
    ]

    operations = [
        migrations.CreateModel(
            name='StaffAction',
            fields=[
                ('id', models.UUIDField(default=credits.ids.new_id, primary_key=True, serialize=False)),
                ('at', models.DateTimeField()),
                ('operator', models.CharField(max_length=150)),
                ('action', models.CharField(max_length=100)),
                ('user_id', models.CharField(max_length=255, null=True)),
                ('subject', models.CharField(blank=True, max_length=400)),
                ('reason', models.CharField(blank=True, max_length=100)),
                ('note', models.CharField(blank=True, max_length=1000)),
                ('ticket', models.CharField(blank=True, max_length=500)),
                ('before', models.JSONField(default=dict)),
                ('after', models.JSONField(default=dict)),
                ('address', models.CharField(blank=True, max_length=64)),
                ('request_id', models.CharField(blank=True, max_length=128)),
                ('key', models.UUIDField(null=True)),
            ],
            options={
                'db_table': '"credits"."staff_actions"',
                'permissions': (('adjust_balance', 'Can adjust a balance, up to the limit alone'), ('approve_adjustment', "Can approve or reject a colleague's adjustment"), ('reverse_transaction', 'Can reverse a transaction'), ('refund_purchase', 'Can refund a purchase'), ('resolve_quarantine', 'Can decide about a quarantined purchase'), ('release_reservation', 'Can release a reservation'), ('give_sync', 'Can give Cloud Sync and take it back'), ('change_packages', 'Can offer, change and retire packages'), ('change_prices', 'Can change prices of operations'), ('retry_message', 'Can send a dead message again'), ('export_rows', 'Can export rows as CSV'), ('manage_staff', 'Can manage staff accounts')),
                'indexes': [models.Index(condition=models.Q(('user_id__isnull', False)), fields=['user_id', '-id'], name='staff_action_by_user_idx'), models.Index(fields=['operator', '-id'], name='staff_action_by_operator_idx'), models.Index(fields=['action', '-id'], name='staff_action_by_action_idx')],
                'constraints': [models.UniqueConstraint(fields=('key',), name='staff_action_key_acts_once'), models.CheckConstraint(condition=models.Q(models.Q(('operator', ''), _negated=True), models.Q(('action', ''), _negated=True)), name='staff_action_has_an_operator')],
            },
        ),
        migrations.CreateModel(
            name='AdjustmentRequest',
            fields=[
                ('id', models.UUIDField(default=credits.ids.new_id, primary_key=True, serialize=False)),
                ('user_id', models.CharField(max_length=255)),
                ('amount', models.DecimalField(decimal_places=4, max_digits=15)),
                ('reason', models.CharField(choices=[('failed_operation', 'An operation failed and was charged'), ('double_charge', 'Charged twice'), ('missing_credits', 'Credits that never arrived'), ('goodwill', 'Goodwill'), ('misuse', 'Misuse'), ('correction', "Correction of an operator's mistake")], max_length=32)),
                ('note', models.CharField(max_length=1000)),
                ('ticket', models.CharField(blank=True, max_length=500)),
                ('status', models.CharField(choices=[('pending', 'Pending'), ('approved', 'Approved'), ('rejected', 'Rejected')], db_default='pending', max_length=16)),
                ('requested_by', models.CharField(max_length=150)),
                ('requested_at', models.DateTimeField()),
                ('decided_by', models.CharField(max_length=150, null=True)),
                ('decided_at', models.DateTimeField(null=True)),
                ('transaction', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, to='credits.transaction')),
            ],
            options={
                'db_table': '"credits"."adjustment_requests"',
                'indexes': [models.Index(fields=['user_id', '-id'], name='adjustment_by_user_idx'), models.Index(condition=models.Q(('status', 'pending')), fields=['id'], name='adjustment_pending_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(('amount', 0), _negated=True), name='adjustment_amount_not_zero'), models.CheckConstraint(condition=models.Q(('status__in', ['pending', 'approved', 'rejected'])), name='adjustment_status_known'), models.CheckConstraint(condition=models.Q(models.Q(('decided_at__isnull', True), ('decided_by__isnull', True), ('status', 'pending')), models.Q(models.Q(('status', 'pending'), _negated=True), ('decided_at__isnull', False), ('decided_by__isnull', False), models.Q(('decided_by', models.F('requested_by')), _negated=True)), _connector='OR'), name='adjustment_is_decided_by_a_second_person'), models.CheckConstraint(condition=models.Q(models.Q(('status', 'approved'), ('transaction__isnull', False)), models.Q(models.Q(('status', 'approved'), _negated=True), ('transaction__isnull', True)), _connector='OR'), name='adjustment_approved_names_its_transaction')],
            },
        ),
        migrations.RunSQL(SQL.read_text(), "DROP FUNCTION credits.refuse_change_of_audit() CASCADE"),
    ]
