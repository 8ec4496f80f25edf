import credits.ids
import django.db.models.deletion
import django.db.models.expressions
from django.db import migrations, models


class Migration(migrations.Migration):
    """The tables of balances, transactions, reservations, usage and idempotency keys."""

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.RunSQL(
            sql="CREATE SCHEMA IF NOT EXISTS credits", reverse_sql="DROP SCHEMA credits"
        ),
        migrations.CreateModel(
            name='Balance',
            fields=[
                ('user_id', models.CharField(max_length=255, primary_key=True, serialize=False)),
                ('posted', models.DecimalField(db_default=0, decimal_places=4, max_digits=15)),
                ('held', models.DecimalField(db_default=0, decimal_places=4, max_digits=15)),
                ('total_earned', models.DecimalField(db_default=0, decimal_places=4, max_digits=15)),
                ('total_spent', models.DecimalField(db_default=0, decimal_places=4, max_digits=15)),
                ('last_number', models.BigIntegerField(db_default=0)),
                ('version', models.BigIntegerField(db_default=0)),
                ('created_at', models.DateTimeField()),
                ('updated_at', models.DateTimeField()),
            ],
            options={
                'db_table': '"credits"."balances"',
                'constraints': [models.CheckConstraint(condition=models.Q(('user_id', ''), _negated=True), name='balance_user_id_not_empty'), models.CheckConstraint(condition=models.Q(('held__gte', 0)), name='balance_held_not_negative'), models.CheckConstraint(condition=models.Q(('total_earned__gte', 0)), name='balance_earned_not_negative'), models.CheckConstraint(condition=models.Q(('total_spent__gte', 0)), name='balance_spent_not_negative'), models.CheckConstraint(condition=models.Q(('posted', django.db.models.expressions.CombinedExpression(models.F('total_earned'), '-', models.F('total_spent')))), name='balance_posted_is_earned_minus_spent'), models.CheckConstraint(condition=models.Q(('last_number__gte', 0)), name='balance_number_not_negative')],
            },
        ),
        migrations.CreateModel(
            name='IdempotencyKey',
            fields=[
                ('pk', models.CompositePrimaryKey('user_id', 'key', blank=True, editable=False, primary_key=True, serialize=False)),
                ('user_id', models.CharField(max_length=255)),
                ('key', models.CharField(max_length=255)),
                ('request', models.TextField()),
                ('subject_id', models.UUIDField()),
                ('created_at', models.DateTimeField()),
            ],
            options={
                'db_table': '"credits"."idempotency_keys"',
                'constraints': [models.CheckConstraint(condition=models.Q(('key', ''), _negated=True), name='idempotency_key_not_empty')],
            },
        ),
        migrations.CreateModel(
            name='Transaction',
            fields=[
                ('id', models.UUIDField(default=credits.ids.new_id, primary_key=True, serialize=False)),
                ('user_id', models.CharField(max_length=255)),
                ('number', models.BigIntegerField()),
                ('type', models.CharField(choices=[('purchase', 'Purchase'), ('usage', 'Usage'), ('refund', 'Refund'), ('gift', 'Gift'), ('grant', 'Grant'), ('adjustment', 'Adjustment'), ('clawback', 'Clawback'), ('reinstatement', 'Reinstatement'), ('reversal', 'Reversal')], max_length=16)),
                ('amount', models.DecimalField(decimal_places=4, max_digits=15)),
                ('balance_before', models.DecimalField(decimal_places=4, max_digits=15)),
                ('balance_after', models.DecimalField(decimal_places=4, max_digits=15)),
                ('spent_change', models.DecimalField(decimal_places=4, max_digits=15)),
                ('app_id', models.CharField(max_length=100)),
                ('description', models.CharField(max_length=500)),
                ('metadata', models.JSONField(null=True)),
                ('actor', models.CharField(max_length=255)),
                ('request_id', models.CharField(max_length=128, null=True)),
                ('idempotency_key', models.CharField(max_length=255, null=True)),
                ('cause', models.CharField(max_length=400, null=True)),
                ('created_at', models.DateTimeField()),
                ('related', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to='credits.transaction')),
            ],
            options={
                'db_table': '"credits"."transactions"',
            },
        ),
        migrations.CreateModel(
            name='Reservation',
            fields=[
                ('id', models.UUIDField(default=credits.ids.new_id, primary_key=True, serialize=False)),
                ('user_id', models.CharField(max_length=255)),
                ('amount', models.DecimalField(decimal_places=4, max_digits=15)),
                ('app_id', models.CharField(max_length=100)),
                ('reason', models.CharField(max_length=200)),
                ('status', models.CharField(choices=[('open', 'Open'), ('committed', 'Committed'), ('released', 'Released'), ('expired', 'Expired')], db_default='open', max_length=16)),
                ('committed_amount', models.DecimalField(decimal_places=4, max_digits=15, null=True)),
                ('actor', models.CharField(max_length=255)),
                ('request_id', models.CharField(max_length=128, null=True)),
                ('created_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('settled_at', models.DateTimeField(null=True)),
                ('transaction', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, to='credits.transaction')),
            ],
            options={
                'db_table': '"credits"."reservations"',
            },
        ),
        migrations.CreateModel(
            name='UsageStat',
            fields=[
                ('pk', models.CompositePrimaryKey('user_id', 'date', 'app_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('user_id', models.CharField(max_length=255)),
                ('date', models.DateField()),
                ('app_id', models.CharField(max_length=100)),
                ('credits_used', models.DecimalField(decimal_places=4, max_digits=15)),
                ('transactions', models.BigIntegerField()),
            ],
            options={
                'db_table': '"credits"."usage_stats"',
                'constraints': [models.CheckConstraint(condition=models.Q(('credits_used__gt', 0)), name='usage_credits_positive'), models.CheckConstraint(condition=models.Q(('transactions__gt', 0)), name='usage_transactions_positive')],
            },
        ),
        migrations.AddIndex(
            model_name='transaction',
            index=models.Index(condition=models.Q(('related__isnull', False)), fields=['related'], name='transaction_related_idx'),
        ),
        migrations.AddConstraint(
            model_name='transaction',
            constraint=models.UniqueConstraint(fields=('user_id', 'number'), name='transaction_number_unique_per_user'),
        ),
        migrations.AddConstraint(
            model_name='transaction',
            constraint=models.UniqueConstraint(condition=models.Q(('cause__isnull', False)), fields=('cause',), name='transaction_cause_moves_once'),
        ),
        migrations.AddConstraint(
            model_name='transaction',
            constraint=models.CheckConstraint(condition=models.Q(('user_id', ''), _negated=True), name='transaction_user_id_not_empty'),
        ),
        migrations.AddConstraint(
            model_name='transaction',
            constraint=models.CheckConstraint(condition=models.Q(('number__gt', 0)), name='transaction_number_positive'),
        ),
        migrations.AddConstraint(
            model_name='transaction',
            constraint=models.CheckConstraint(condition=models.Q(('amount', 0), _negated=True), name='transaction_amount_not_zero'),
        ),
        migrations.AddConstraint(
            model_name='transaction',
            constraint=models.CheckConstraint(condition=models.Q(('balance_after', django.db.models.expressions.CombinedExpression(models.F('balance_before'), '+', models.F('amount')))), name='transaction_after_is_before_plus_amount'),
        ),
        migrations.AddConstraint(
            model_name='transaction',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('number', 1), _negated=True), ('balance_before', 0), _connector='OR'), name='transaction_first_starts_at_zero'),
        ),
        migrations.AddConstraint(
            model_name='transaction',
            constraint=models.CheckConstraint(condition=models.Q(('type__in', ['purchase', 'usage', 'refund', 'gift', 'grant', 'adjustment', 'clawback', 'reinstatement', 'reversal'])), name='transaction_type_known'),
        ),
        migrations.AddConstraint(
            model_name='transaction',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('amount__lt', 0), ('type__in', ['usage', 'clawback'])), models.Q(('amount__gt', 0), ('type__in', ['purchase', 'refund', 'grant', 'reinstatement'])), ('type__in', ['gift', 'adjustment', 'reversal']), _connector='OR'), name='transaction_sign_fits_type'),
        ),
        migrations.AddConstraint(
            model_name='transaction',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('type', 'reversal'), _negated=True), ('related__isnull', False), _connector='OR'), name='transaction_reversal_names_its_original'),
        ),
        migrations.AddConstraint(
            model_name='transaction',
            constraint=models.CheckConstraint(condition=models.Q(('actor__regex', '^(user|service|stripe|system|(service|operator):.+)$')), name='transaction_actor_known'),
        ),
        migrations.AddConstraint(
            model_name='transaction',
            constraint=models.CheckConstraint(condition=models.Q(('idempotency_key', ''), _negated=True), name='transaction_key_not_empty'),
        ),
        migrations.AddIndex(
            model_name='reservation',
            index=models.Index(condition=models.Q(('status', 'open')), fields=['user_id'], name='reservation_open_by_user_idx'),
        ),
        migrations.AddIndex(
            model_name='reservation',
            index=models.Index(condition=models.Q(('status', 'open')), fields=['expires_at'], name='reservation_open_by_expiry_idx'),
        ),
        migrations.AddConstraint(
            model_name='reservation',
            constraint=models.CheckConstraint(condition=models.Q(('user_id', ''), _negated=True), name='reservation_user_id_not_empty'),
        ),
        migrations.AddConstraint(
            model_name='reservation',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='reservation_amount_positive'),
        ),
        migrations.AddConstraint(
            model_name='reservation',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['open', 'committed', 'released', 'expired'])), name='reservation_status_known'),
        ),
        migrations.AddConstraint(
            model_name='reservation',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('settled_at__isnull', True), ('status', 'open')), models.Q(models.Q(('status', 'open'), _negated=True), ('settled_at__isnull', False)), _connector='OR'), name='reservation_settled_unless_open'),
        ),
        migrations.AddConstraint(
            model_name='reservation',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('committed_amount__gt', 0), ('committed_amount__isnull', False), ('committed_amount__lte', models.F('amount')), ('status', 'committed'), ('transaction__isnull', False)), models.Q(models.Q(('status', 'committed'), _negated=True), ('committed_amount__isnull', True), ('transaction__isnull', True)), _connector='OR'), name='reservation_committed_names_its_transaction'),
        ),
        migrations.AddConstraint(
            model_name='reservation',
            constraint=models.CheckConstraint(condition=models.Q(('expires_at__gt', models.F('created_at'))), name='reservation_expires_after_creation'),
        ),
        migrations.AddConstraint(
            model_name='reservation',
            constraint=models.CheckConstraint(condition=models.Q(('actor__regex', '^(user|service|stripe|system|(service|operator):.+)$')), name='reservation_actor_known'),
        ),
    ]
