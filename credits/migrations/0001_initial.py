import csv
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import credits.ids
import django.contrib.postgres.functions
import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.comparison
import django.db.models.functions.datetime
import django.db.models.functions.text
import django.db.models.lookups
from django.db import migrations, models

from credits import roles
from credits.roles import ADMINISTRATOR, ALL, AUDITOR, FINANCE, SUPPORT
from credits.ledger.sql_files import install

PRICE_LIST = Path(__file__).resolve().parent.parent / "operations.csv"


def load(apps, schema_editor):
    """Load the price list, with the first row of each price's history."""
    operations = apps.get_model("credits", "Operation")
    prices = apps.get_model("credits", "OperationPrice")
    now = datetime.now(timezone.utc)
    with PRICE_LIST.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            operation = operations.objects.create(
                key=row["operation"],
                name=row["name"],
                category=row["category"],
                app=row["app"],
                cost=Decimal(row["cost"]),
                per_items=int(row["per_items"]) if row["per_items"] else None,
                created_at=now,
                updated_at=now,
            )
            prices.objects.create(
                operation=operation,
                cost_after=operation.cost,
                per_items_after=operation.per_items,
                actor="system",
                changed_at=now,
            )


LOOK = (
    "adjustmentrequest",
    "balance",
    "grantcampaign",
    "jobrun",
    "operation",
    "operationprice",
    "outboxmessage",
    "package",
    "purchase",
    "reservation",
    "moneyback",
    "staffaction",
    "stripecustomer",
    "syncsubscription",
    "transaction",
    "usagestat",
)
MAY = {
    **{f"view_{model}": ALL for model in LOOK},
    "adjust_balance": (SUPPORT, FINANCE, ADMINISTRATOR),
    "grant_to_many": (SUPPORT, FINANCE, ADMINISTRATOR),
    "release_reservation": (SUPPORT, FINANCE, ADMINISTRATOR),
    "approve_adjustment": (FINANCE, ADMINISTRATOR),
    "reverse_transaction": (FINANCE, ADMINISTRATOR),
    "refund_purchase": (FINANCE, ADMINISTRATOR),
    "resolve_quarantine": (FINANCE, ADMINISTRATOR),
    "give_sync": (FINANCE, ADMINISTRATOR),
    "change_packages": (FINANCE, ADMINISTRATOR),
    "change_prices": (FINANCE, ADMINISTRATOR),
    "retry_message": (FINANCE, ADMINISTRATOR),
    "export_rows": (FINANCE, AUDITOR, ADMINISTRATOR),
    "manage_staff": (ADMINISTRATOR,),
}


def make_roles(apps, schema_editor):
    roles.give(apps, "credits", MAY)


class Migration(migrations.Migration):
    """The schema `credits`: tables, the functions that write the ledger, the price list, the roles."""

    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.RunSQL("CREATE SCHEMA credits", "DROP SCHEMA credits CASCADE"),
        migrations.RunSQL("CREATE SEQUENCE credits.purchase_numbers", migrations.RunSQL.noop),
        migrations.CreateModel(
            name='Anchor',
            fields=[
                ('number', models.BigAutoField(primary_key=True, serialize=False)),
                ('day', models.DateField(unique=True)),
                ('count', models.BigIntegerField()),
                ('sum', models.DecimalField(db_default=0, decimal_places=4, max_digits=20)),
                ('digest', models.BinaryField()),
                ('created_at', models.DateTimeField()),
            ],
            options={
                'db_table': '"credits"."anchors"',
                'constraints': [models.CheckConstraint(condition=models.Q(('created_at__date__gt', models.F('day'))), name='anchor_is_made_after_its_day'), models.CheckConstraint(condition=models.Q(('count__gte', 0)), name='anchor_count_not_negative')],
            },
        ),
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
                ('digest', models.BinaryField(null=True)),
                ('full_check', models.BigIntegerField(null=True)),
            ],
            options={
                'db_table': '"credits"."checked_balances"',
                'indexes': [models.Index(fields=['-posted', 'user_id'], name='checked_balance_by_posted_idx'), models.Index(fields=['-total_spent', 'user_id'], name='checked_balance_by_spent_idx')],
            },
        ),
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
        migrations.CreateModel(
            name='Balance',
            fields=[
                ('user_id', models.CharField(max_length=255, primary_key=True, serialize=False)),
                ('posted', models.DecimalField(db_default=0, decimal_places=4, max_digits=15)),
                ('held', models.DecimalField(db_default=0, decimal_places=4, max_digits=15)),
                ('total_earned', models.DecimalField(db_default=0, decimal_places=4, max_digits=15)),
                ('total_spent', models.DecimalField(db_default=0, decimal_places=4, max_digits=15)),
                ('last_number', models.BigIntegerField(db_default=0)),
                ('last_digest', models.BinaryField(null=True)),
                ('version', models.BigIntegerField(db_default=0)),
                ('created_at', models.DateTimeField()),
                ('updated_at', models.DateTimeField()),
                ('chain_id', models.UUIDField(db_default=django.contrib.postgres.functions.RandomUUID())),
                ('chain_salt', models.UUIDField(db_default=django.contrib.postgres.functions.RandomUUID(), null=True)),
                ('has_settings', models.BooleanField(null=True)),
                ('next_expiry', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': '"credits"."balances"',
                'indexes': [models.Index(fields=['chain_id'], name='balance_by_chain_idx'), models.Index(fields=['-created_at', 'user_id'], name='balance_by_age_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(('user_id', ''), _negated=True), name='balance_user_id_not_empty'), models.CheckConstraint(condition=models.Q(('held__gte', Decimal('0.0'))), name='balance_held_not_negative'), models.CheckConstraint(condition=models.Q(('total_earned__gte', Decimal('0.0'))), name='balance_earned_not_negative'), models.CheckConstraint(condition=models.Q(('total_spent__gte', Decimal('0.0'))), name='balance_spent_not_negative'), models.CheckConstraint(condition=models.Q(('posted', django.db.models.expressions.CombinedExpression(models.F('total_earned'), '-', models.F('total_spent')))), name='balance_posted_is_earned_minus_spent'), models.CheckConstraint(condition=models.Q(('last_number__gte', 0)), name='balance_number_not_negative')],
            },
        ),
        migrations.CreateModel(
            name='Contact',
            fields=[
                ('user_id', models.CharField(max_length=255, primary_key=True, serialize=False)),
                ('email', models.CharField(blank=True, max_length=320)),
                ('email_verified', models.BooleanField()),
                ('name', models.CharField(blank=True, max_length=255)),
                ('seen_at', models.DateTimeField()),
            ],
            options={
                'db_table': '"credits"."contacts"',
                'indexes': [models.Index(fields=['email'], name='contact_by_email_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(('user_id', ''), _negated=True), name='contact_user_id_not_empty'), models.CheckConstraint(condition=models.Q(('email', ''), ('name', ''), _negated=True), name='contact_has_an_address_or_a_name')],
            },
        ),
        migrations.CreateModel(
            name='ContactErasure',
            fields=[
                ('digest', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('erased_at', models.DateTimeField()),
            ],
            options={
                'db_table': '"credits"."contact_erasures"',
            },
        ),
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
        migrations.CreateModel(
            name='IdempotencyKey',
            fields=[
                ('pk', models.CompositePrimaryKey('user_id', 'key', blank=True, editable=False, primary_key=True, serialize=False)),
                ('user_id', models.CharField(max_length=255)),
                ('key', models.CharField(max_length=255)),
                ('fingerprint', models.TextField()),
                ('subject_id', models.UUIDField()),
                ('created_at', models.DateTimeField()),
            ],
            options={
                'db_table': '"credits"."idempotency_keys"',
                'indexes': [django.contrib.postgres.indexes.BrinIndex(autosummarize=True, fields=['created_at'], name='idempotency_key_created_idx', opclasses=['timestamptz_minmax_multi_ops'], pages_per_range=32)],
                'constraints': [models.CheckConstraint(condition=models.Q(('key', ''), _negated=True), name='idempotency_key_not_empty')],
            },
        ),
        migrations.CreateModel(
            name='JobRun',
            fields=[
                ('name', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('started_at', models.DateTimeField(null=True)),
                ('succeeded_at', models.DateTimeField(null=True)),
                ('failed_at', models.DateTimeField(null=True)),
                ('result', models.JSONField(default=dict)),
                ('error', models.CharField(blank=True, db_default='', max_length=500)),
                ('differences', models.JSONField(default=list)),
                ('night', models.DateField(null=True)),
                ('claimed_until', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': '"credits"."job_runs"',
                'constraints': [models.CheckConstraint(condition=models.Q(('error', ''), ('failed_at__isnull', False), _connector='OR'), name='job_failure_has_its_error')],
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
        migrations.CreateModel(
            name='Operation',
            fields=[
                ('key', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=100)),
                ('name_de', models.CharField(blank=True, max_length=100, null=True)),
                ('description', models.CharField(blank=True, max_length=500)),
                ('category', models.CharField(choices=[('ai', 'AI'), ('premium', 'Premium')], max_length=16)),
                ('app', models.CharField(max_length=100)),
                ('cost', models.DecimalField(decimal_places=4, max_digits=15, null=True)),
                ('per_items', models.IntegerField(null=True)),
                ('metering', models.JSONField(null=True)),
                ('version', models.IntegerField(db_default=1)),
                ('active', models.BooleanField(db_default=True)),
                ('created_at', models.DateTimeField()),
                ('updated_at', models.DateTimeField()),
            ],
            options={
                'db_table': '"credits"."operations"',
                'constraints': [models.CheckConstraint(condition=models.Q(('key__regex', '^[a-z][a-z0-9_]*$')), name='operation_key_is_snake_case'), models.CheckConstraint(condition=models.Q(('name_de__isnull', True), models.Q(('name_de', ''), _negated=True), _connector='OR'), name='operation_german_name_not_empty'), models.CheckConstraint(condition=models.Q(('category__in', ['ai', 'premium'])), name='operation_category_known'), models.CheckConstraint(condition=models.Q(('cost__gt', 0)), name='operation_cost_positive'), models.CheckConstraint(condition=models.Q(('per_items__isnull', True), ('per_items__gt', 0), _connector='OR'), name='operation_batch_positive'), models.CheckConstraint(condition=models.Q(models.Q(('cost__isnull', False), ('metering__isnull', True)), models.Q(('cost__isnull', True), ('metering__isnull', False), ('per_items__isnull', True)), _connector='OR'), name='operation_has_one_kind_of_price')],
            },
        ),
        migrations.CreateModel(
            name='OutboxMessage',
            fields=[
                ('id', models.UUIDField(default=credits.ids.new_id, primary_key=True, serialize=False)),
                ('key', models.CharField(max_length=400)),
                ('user_id', models.CharField(max_length=255)),
                ('body', models.JSONField()),
                ('status', models.CharField(choices=[('pending', 'Pending'), ('delivered', 'Delivered'), ('dead', 'Dead')], db_default='pending', max_length=16)),
                ('attempts', models.IntegerField(db_default=0)),
                ('due_at', models.DateTimeField()),
                ('last_error', models.CharField(blank=True, db_default='', max_length=500)),
                ('created_at', models.DateTimeField()),
                ('delivered_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': '"credits"."outbox"',
                'indexes': [models.Index(fields=['user_id'], name='outbox_user_idx'), models.Index(condition=models.Q(('status', 'pending')), fields=['due_at'], name='outbox_pending_idx'), models.Index(condition=models.Q(('status', 'delivered')), fields=['delivered_at'], name='outbox_delivered_idx'), models.Index(condition=models.Q(('status', 'dead')), fields=['-id'], name='outbox_dead_idx')],
                'constraints': [models.UniqueConstraint(fields=('key',), name='outbox_key_tells_once'), models.CheckConstraint(condition=models.Q(('status__in', ['pending', 'delivered', 'dead'])), name='outbox_status_known'), models.CheckConstraint(condition=models.Q(models.Q(('delivered_at__isnull', False), ('status', 'delivered')), models.Q(models.Q(('status', 'delivered'), _negated=True), ('delivered_at__isnull', True)), _connector='OR'), name='outbox_delivered_says_when'), models.CheckConstraint(condition=models.Q(('attempts__gte', 0)), name='outbox_attempts_not_negative')],
            },
        ),
        migrations.CreateModel(
            name='Package',
            fields=[
                ('id', models.UUIDField(default=credits.ids.new_id, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=100)),
                ('description', models.CharField(max_length=500, null=True)),
                ('name_de', models.CharField(max_length=100, null=True)),
                ('description_de', models.CharField(max_length=500, null=True)),
                ('credits', models.DecimalField(decimal_places=4, max_digits=15)),
                ('price_euro_cents', models.IntegerField()),
                ('expires_after_days', models.IntegerField(null=True)),
                ('stripe_price_id', models.CharField(max_length=255, null=True)),
                ('active', models.BooleanField(db_default=True)),
                ('sort_order', models.IntegerField(db_default=0)),
                ('metadata', models.JSONField(null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('updated_at', models.DateTimeField(auto_now=True)),
            ],
            options={
                'db_table': '"credits"."packages"',
                'constraints': [models.CheckConstraint(condition=models.Q(('name', ''), _negated=True), name='package_name_not_empty'), models.CheckConstraint(condition=models.Q(('name_de__isnull', True), models.Q(('name_de', ''), _negated=True), _connector='OR'), name='package_german_name_not_empty'), models.CheckConstraint(condition=models.Q(('credits__gt', 0)), name='package_credits_positive'), models.CheckConstraint(condition=models.Q(('price_euro_cents__gt', 0)), name='package_price_positive'), models.CheckConstraint(condition=models.Q(('expires_after_days__isnull', True), ('expires_after_days__gt', 0), _connector='OR'), name='package_expiry_positive')],
            },
        ),
        migrations.CreateModel(
            name='PostponedRow',
            fields=[
                ('pk', models.CompositePrimaryKey('user_id', 'job', 'row_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('user_id', models.CharField(max_length=255)),
                ('job', models.CharField(max_length=64)),
                ('row_id', models.CharField(max_length=255)),
                ('attempts', models.IntegerField()),
                ('due_at', models.DateTimeField()),
                ('error', models.CharField(max_length=500)),
            ],
            options={
                'db_table': '"credits"."postponed_rows"',
                'constraints': [models.CheckConstraint(condition=models.Q(('attempts__gt', 0)), name='postponed_row_was_attempted')],
            },
        ),
        migrations.CreateModel(
            name='MoneyBack',
            fields=[
                ('id', models.UUIDField(default=credits.ids.new_id, primary_key=True, serialize=False)),
                ('stripe_id', models.CharField(max_length=255, null=True, unique=True)),
                ('kind', models.CharField(choices=[('refund', 'Refund'), ('dispute', 'Dispute')], max_length=16)),
                ('stripe_payment_intent_id', models.CharField(max_length=255)),
                ('amount_cents', models.BigIntegerField()),
                ('withdrawn_cents', models.BigIntegerField(db_default=0)),
                ('reinstated_cents', models.BigIntegerField(db_default=0)),
                ('movements_known', models.BooleanField(db_default=False)),
                ('state', models.CharField(choices=[('requested', 'Requested'), ('open', 'Open'), ('closed', 'Closed'), ('gone', 'Gone'), ('returned', 'Returned')], max_length=16)),
                ('stripe_status', models.CharField(max_length=64, null=True)),
                ('stripe_status_since', models.DateTimeField(null=True)),
                ('taken', models.DecimalField(db_default=0, decimal_places=4, max_digits=15)),
                ('takes', models.IntegerField(db_default=0)),
                ('given_back', models.BooleanField(db_default=False)),
                ('actor', models.CharField(max_length=255, null=True)),
                ('reason', models.CharField(max_length=500, null=True)),
                ('created_at', models.DateTimeField()),
                ('gone_at', models.DateTimeField(null=True)),
                ('returned_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': '"credits"."returns"',
                'indexes': [models.Index(fields=['stripe_payment_intent_id'], name='return_by_payment_idx'), models.Index(condition=models.Q(('state', 'requested')), fields=['created_at'], name='return_requested_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(('kind__in', ['refund', 'dispute'])), name='return_kind_known'), models.CheckConstraint(condition=models.Q(('state__in', ['requested', 'open', 'closed', 'gone', 'returned'])), name='return_state_known'), models.CheckConstraint(condition=models.Q(('amount_cents__gt', 0)), name='return_amount_positive'), models.CheckConstraint(condition=models.Q(('taken__gte', 0)), name='return_taken_not_negative'), models.CheckConstraint(condition=models.Q(('state', 'requested'), ('stripe_id__isnull', False), _connector='OR'), name='return_known_to_stripe_unless_requested'), models.CheckConstraint(condition=models.Q(('state__in', ['gone', 'returned']), models.Q(('taken', 0), ('takes', 0)), _connector='OR'), name='return_takes_only_what_went_back'), models.CheckConstraint(condition=models.Q(('given_back', False), models.Q(('state', 'returned'), ('taken', 0)), _connector='OR'), name='return_given_back_holds_nothing'), models.CheckConstraint(condition=models.Q(models.Q(('gone_at__isnull', False), ('state__in', ['gone', 'returned'])), models.Q(models.Q(('state__in', ['gone', 'returned']), _negated=True), ('gone_at__isnull', True)), _connector='OR'), name='return_moved_says_when'), models.CheckConstraint(condition=models.Q(models.Q(('reinstated_cents', 0), ('returned_at__isnull', True)), models.Q(('reinstated_cents__gt', 0), ('returned_at__isnull', False)), _connector='OR'), name='return_that_came_back_says_when'), models.CheckConstraint(condition=models.Q(('movements_known', True), ('withdrawn_cents', 0), ('withdrawn_cents', models.F('amount_cents')), _connector='OR'), name='return_without_movements_moved_its_amount'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'gone'), ('withdrawn_cents__gt', models.F('reinstated_cents'))), models.Q(('state', 'returned'), ('withdrawn_cents__gt', 0), ('withdrawn_cents__lte', models.F('reinstated_cents'))), models.Q(('reinstated_cents', 0), ('state__in', ['requested', 'open', 'closed']), ('withdrawn_cents', 0)), _connector='OR'), name='return_state_follows_the_cents')],
            },
        ),
        migrations.CreateModel(
            name='ActRequest',
            fields=[
                ('id', models.UUIDField(default=credits.ids.new_id, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('reversal', 'Reverse a transaction'), ('refund', 'Refund a purchase'), ('price', 'Change a price'), ('operation', 'Create an operation'), ('package', 'Offer a package'), ('grants', 'Grant credits to many users'), ('gift_campaign', 'Create a campaign of gift codes')], max_length=16)),
                ('subject', models.CharField(max_length=400)),
                ('user_id', models.CharField(max_length=255, null=True)),
                ('arguments', models.JSONField(default=dict)),
                ('summary', models.CharField(max_length=500)),
                ('reason', models.CharField(blank=True, max_length=100)),
                ('note', models.CharField(max_length=1000)),
                ('ticket', models.CharField(blank=True, max_length=500)),
                ('status', models.CharField(choices=[('pending', 'Pending'), ('approved', 'Approved'), ('rejected', 'Rejected'), ('withdrawn', 'Withdrawn')], db_default='pending', max_length=16)),
                ('requested_by', models.CharField(max_length=150)),
                ('requested_at', models.DateTimeField()),
                ('decided_by', models.CharField(max_length=150, null=True)),
                ('decided_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': '"credits"."act_requests"',
            },
        ),
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
                ('moved', models.DecimalField(decimal_places=4, max_digits=15, null=True)),
            ],
            options={
                'db_table': '"credits"."staff_actions"',
                'permissions': (('adjust_balance', 'Can adjust a balance up to the limit'), ('approve_adjustment', "Can approve or reject a colleague's adjustment"), ('reverse_transaction', 'Can reverse a transaction'), ('refund_purchase', 'Can refund a purchase'), ('resolve_quarantine', 'Can decide about a quarantined purchase'), ('release_reservation', 'Can release a reservation'), ('give_sync', 'Can give Cloud Sync and take it back'), ('change_packages', 'Can offer, change and retire packages'), ('change_prices', 'Can change prices of operations'), ('retry_message', 'Can send a dead message again'), ('export_rows', 'Can export rows as CSV'), ('grant_to_many', 'Can grant credits to many users by a file'), ('manage_staff', 'Can manage staff accounts')),
                'indexes': [models.Index(condition=models.Q(('user_id__isnull', False)), fields=['user_id', '-id'], name='staff_action_by_user_idx'), models.Index(condition=models.Q(('ticket', ''), _negated=True), fields=['ticket'], name='staff_action_by_ticket_idx'), models.Index(condition=models.Q(('subject', ''), _negated=True), fields=['subject', '-id'], name='staff_action_by_subject_idx'), models.Index(fields=['operator', '-id'], name='staff_action_by_operator_idx'), models.Index(fields=['action', '-id'], name='staff_action_by_action_idx')],
                'constraints': [models.UniqueConstraint(fields=('key',), name='staff_action_key_acts_once'), models.CheckConstraint(condition=models.Q(models.Q(('operator', ''), _negated=True), models.Q(('action', ''), _negated=True)), name='staff_action_has_an_operator')],
            },
        ),
        migrations.CreateModel(
            name='StripeCustomer',
            fields=[
                ('id', models.UUIDField(default=credits.ids.new_id, primary_key=True, serialize=False)),
                ('user_id', models.CharField(max_length=255, unique=True)),
                ('stripe_customer_id', models.CharField(max_length=255, null=True, unique=True)),
                ('email', models.CharField(max_length=320, null=True)),
                ('created_at', models.DateTimeField()),
            ],
            options={
                'db_table': '"credits"."stripe_customers"',
                'indexes': [models.Index(fields=['email'], name='stripe_customer_by_email_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(('user_id', ''), _negated=True), name='stripe_customer_user_id_not_empty'), models.CheckConstraint(condition=models.Q(('email__isnull', True), ('email', django.db.models.functions.text.Lower('email')), _connector='OR'), name='stripe_customer_email_in_lower_case'), models.CheckConstraint(condition=models.Q(('email__isnull', True), models.Q(('email', ''), _negated=True), _connector='OR'), name='stripe_customer_email_not_empty')],
            },
        ),
        migrations.CreateModel(
            name='Transaction',
            fields=[
                ('id', models.UUIDField(default=credits.ids.new_id, primary_key=True, serialize=False)),
                ('user_id', models.CharField(max_length=255)),
                ('number', models.BigIntegerField()),
                ('type', models.CharField(choices=[('purchase', 'Purchase'), ('usage', 'Usage'), ('refund', 'Refund'), ('gift', 'Gift'), ('grant', 'Grant'), ('adjustment', 'Adjustment'), ('clawback', 'Clawback'), ('reinstatement', 'Reinstatement'), ('reversal', 'Reversal'), ('expiry', 'Expiry')], max_length=16)),
                ('amount', models.DecimalField(decimal_places=4, max_digits=15)),
                ('balance_before', models.DecimalField(decimal_places=4, max_digits=15)),
                ('balance_after', models.DecimalField(decimal_places=4, max_digits=15)),
                ('spent_change', models.DecimalField(decimal_places=4, max_digits=15)),
                ('operation', models.CharField(max_length=64, null=True)),
                ('unit_cost', models.DecimalField(decimal_places=4, max_digits=15, null=True)),
                ('quantity', models.IntegerField(null=True)),
                ('metering', models.JSONField(null=True)),
                ('app_id', models.CharField(max_length=100)),
                ('description', models.CharField(max_length=500)),
                ('metadata', models.JSONField(null=True)),
                ('actor', models.CharField(max_length=255)),
                ('request_id', models.CharField(max_length=128, null=True)),
                ('idempotency_key', models.CharField(max_length=255, null=True)),
                ('cause', models.CharField(max_length=400, null=True)),
                ('created_at', models.DateTimeField()),
                ('recorded_at', models.DateTimeField(null=True)),
                ('digest', models.BinaryField()),
                ('erased_digest', models.BinaryField(null=True)),
                ('attribution_digest', models.BinaryField(null=True)),
                ('related', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to='credits.transaction')),
            ],
            options={
                'db_table': '"credits"."transactions"',
            },
        ),
        migrations.CreateModel(
            name='CreditLot',
            fields=[
                ('transaction', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='lot', serialize=False, to='credits.transaction')),
                ('user_id', models.CharField(max_length=255)),
                ('amount', models.DecimalField(decimal_places=4, max_digits=15)),
                ('remaining', models.DecimalField(decimal_places=4, max_digits=15)),
                ('repaid', models.DecimalField(decimal_places=4, max_digits=15)),
                ('expired', models.DecimalField(decimal_places=4, max_digits=15)),
                ('expires_at', models.DateTimeField()),
                ('notice_due_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': '"credits"."credit_lots"',
                'indexes': [models.Index(condition=models.Q(('remaining__gt', 0)), fields=['user_id', 'expires_at'], name='lot_open_by_user_idx'), models.Index(condition=models.Q(('remaining__gt', 0)), fields=['expires_at'], name='lot_open_by_expiry_idx'), models.Index(condition=models.Q(('notice_due_at__isnull', False), ('remaining__gt', 0)), fields=['notice_due_at'], name='lot_notice_due_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(('user_id', ''), _negated=True), name='lot_user_id_not_empty'), models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='lot_amount_positive'), models.CheckConstraint(condition=models.Q(('expired__gte', 0), ('remaining__gte', 0), ('repaid__gte', 0)), name='lot_parts_not_negative'), models.CheckConstraint(condition=models.Q(('amount__gte', django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(models.F('remaining'), '+', models.F('repaid')), '+', models.F('expired')))), name='lot_parts_are_at_most_its_amount')],
            },
        ),
        migrations.CreateModel(
            name='LotUse',
            fields=[
                ('pk', models.CompositePrimaryKey('user_id', 'taker_id', 'lot_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('user_id', models.CharField(max_length=255)),
                ('taker_id', models.UUIDField()),
                ('lot_id', models.UUIDField()),
                ('taken', models.DecimalField(decimal_places=4, max_digits=15)),
                ('given_back', models.DecimalField(db_default=0, decimal_places=4, max_digits=15)),
            ],
            options={
                'db_table': '"credits"."lot_uses"',
                'indexes': [models.Index(fields=['user_id', 'lot_id'], name='lot_use_by_lot_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(('taken__gt', 0)), name='lot_use_taken_positive'), models.CheckConstraint(condition=models.Q(('given_back__gte', 0), ('given_back__lte', models.F('taken'))), name='lot_use_gives_back_at_most_what_it_took')],
            },
        ),
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
                ('charge', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to='credits.transaction')),
            ],
            options={
                'db_table': '"credits"."sync_subscriptions"',
            },
        ),
        migrations.CreateModel(
            name='Reservation',
            fields=[
                ('id', models.UUIDField(default=credits.ids.new_id, primary_key=True, serialize=False)),
                ('user_id', models.CharField(max_length=255)),
                ('amount', models.DecimalField(decimal_places=4, max_digits=15)),
                ('operation', models.CharField(max_length=64, null=True)),
                ('unit_cost', models.DecimalField(decimal_places=4, max_digits=15, null=True)),
                ('quantity', models.IntegerField(null=True)),
                ('metering', models.JSONField(null=True)),
                ('app_id', models.CharField(max_length=100)),
                ('reason', models.CharField(max_length=200)),
                ('status', models.CharField(choices=[('open', 'Open'), ('committed', 'Committed'), ('released', 'Released'), ('expired', 'Expired')], db_default='open', max_length=16)),
                ('committed_amount', models.DecimalField(decimal_places=4, max_digits=15, null=True)),
                ('actor', models.CharField(max_length=255)),
                ('request_id', models.CharField(max_length=128, null=True)),
                ('created_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('settled_at', models.DateTimeField(null=True)),
                ('has_lots', models.BooleanField(null=True)),
                ('transaction', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to='credits.transaction')),
            ],
            options={
                'db_table': '"credits"."reservations"',
            },
        ),
        migrations.CreateModel(
            name='Purchase',
            fields=[
                ('id', models.UUIDField(default=credits.ids.new_id, primary_key=True, serialize=False)),
                ('number', models.BigIntegerField(db_default=models.Func(models.Value('credits.purchase_numbers'), function='nextval'), unique=True)),
                ('user_id', models.CharField(max_length=255)),
                ('credits', models.DecimalField(decimal_places=4, max_digits=15)),
                ('price_euro_cents', models.IntegerField()),
                ('expires_after_days', models.IntegerField(null=True)),
                ('status', models.CharField(choices=[('pending', 'Pending'), ('processing', 'Processing'), ('failed', 'Failed'), ('cancelled', 'Cancelled'), ('completed', 'Completed'), ('partially_refunded', 'Partially Refunded'), ('refunded', 'Refunded'), ('disputed', 'Disputed')], db_default='pending', max_length=32)),
                ('stripe_customer_id', models.CharField(max_length=255, null=True)),
                ('stripe_payment_intent_id', models.CharField(max_length=255, null=True, unique=True)),
                ('stripe_checkout_session_id', models.CharField(max_length=255, null=True, unique=True)),
                ('stripe_payment_method_id', models.CharField(max_length=255, null=True)),
                ('client_secret', models.CharField(max_length=500, null=True)),
                ('success_url', models.CharField(max_length=2048, null=True)),
                ('cancel_url', models.CharField(max_length=2048, null=True)),
                ('checkout_url', models.TextField(null=True)),
                ('failure_code', models.CharField(max_length=64, null=True)),
                ('receipt_url', models.TextField(null=True)),
                ('invoice_url', models.TextField(null=True)),
                ('metadata', models.JSONField(null=True)),
                ('request_id', models.CharField(max_length=128, null=True)),
                ('created_at', models.DateTimeField()),
                ('unavailable_at', models.DateTimeField(null=True)),
                ('reported_at', models.DateTimeField(null=True)),
                ('completed_at', models.DateTimeField(null=True)),
                ('quarantined_at', models.DateTimeField(null=True)),
                ('quarantine_reason', models.TextField(null=True)),
                ('quarantined_intent', models.CharField(max_length=255, null=True)),
                ('quarantine_resolved_at', models.DateTimeField(null=True)),
                ('quarantine_resolution', models.CharField(choices=[('credited', 'Credited'), ('left', 'Left')], max_length=16, null=True)),
                ('quarantine_resolved_by', models.CharField(max_length=255, null=True)),
                ('quarantine_resolved_why', models.CharField(max_length=500, null=True)),
                ('package', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='credits.package')),
                ('transaction', models.OneToOneField(db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, to='credits.transaction')),
            ],
            options={
                'db_table': '"credits"."purchases"',
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
                ('status', models.CharField(choices=[('pending', 'Pending'), ('approved', 'Approved'), ('rejected', 'Rejected'), ('withdrawn', 'Withdrawn')], db_default='pending', max_length=16)),
                ('requested_by', models.CharField(max_length=150)),
                ('requested_at', models.DateTimeField()),
                ('decided_by', models.CharField(max_length=150, null=True)),
                ('decided_at', models.DateTimeField(null=True)),
                ('transaction', models.OneToOneField(db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, to='credits.transaction')),
            ],
            options={
                'db_table': '"credits"."adjustment_requests"',
            },
        ),
        migrations.CreateModel(
            name='UsageStat',
            fields=[
                ('pk', models.CompositePrimaryKey('user_id', 'date', 'app_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('user_id', models.CharField(max_length=255)),
                ('date', models.DateField()),
                ('app_id', models.CharField(max_length=100)),
                ('credits_used', models.DecimalField(decimal_places=4, max_digits=20)),
                ('transactions', models.BigIntegerField()),
            ],
            options={
                'db_table': '"credits"."usage_stats"',
                'indexes': [models.Index(fields=['date'], name='usage_by_date_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(('credits_used__gt', Decimal('0.0'))), name='usage_credits_positive'), models.CheckConstraint(condition=models.Q(('transactions__gt', 0)), name='usage_transactions_positive')],
            },
        ),
        migrations.CreateModel(
            name='OperationPrice',
            fields=[
                ('id', models.UUIDField(default=credits.ids.new_id, primary_key=True, serialize=False)),
                ('cost_before', models.DecimalField(decimal_places=4, max_digits=15, null=True)),
                ('per_items_before', models.IntegerField(null=True)),
                ('metering_before', models.JSONField(null=True)),
                ('cost_after', models.DecimalField(decimal_places=4, max_digits=15, null=True)),
                ('per_items_after', models.IntegerField(null=True)),
                ('metering_after', models.JSONField(null=True)),
                ('version', models.IntegerField(db_default=1)),
                ('actor', models.CharField(max_length=255)),
                ('changed_at', models.DateTimeField()),
                ('operation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='prices', to='credits.operation')),
            ],
            options={
                'db_table': '"credits"."operation_prices"',
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('cost_before__isnull', True), ('cost_before__gt', 0), _connector='OR'), models.Q(('cost_after__isnull', True), ('cost_after__gt', 0), _connector='OR')), name='price_costs_positive'), models.CheckConstraint(condition=models.Q(models.Q(django.db.models.lookups.Exact(django.db.models.functions.comparison.Coalesce(models.F('cost_before'), 0, output_field=models.DecimalField()), django.db.models.functions.comparison.Coalesce(models.F('cost_after'), 0, output_field=models.DecimalField())), _negated=True), models.Q(django.db.models.lookups.Exact(django.db.models.functions.comparison.Coalesce(models.F('per_items_before'), 0, output_field=models.DecimalField()), django.db.models.functions.comparison.Coalesce(models.F('per_items_after'), 0, output_field=models.DecimalField())), _negated=True), models.Q(django.db.models.lookups.Exact(django.db.models.functions.comparison.Coalesce(models.F('metering_before'), models.Value({}, models.JSONField()), output_field=models.JSONField()), django.db.models.functions.comparison.Coalesce(models.F('metering_after'), models.Value({}, models.JSONField()), output_field=models.JSONField())), _negated=True), _connector='OR'), name='price_change_changes_the_price'), models.CheckConstraint(condition=models.Q(('actor__regex', '^(user|service|stripe|system|(service|operator):.+)$')), name='price_actor_known')],
            },
        ),
        migrations.CreateModel(
            name='PackageChange',
            fields=[
                ('id', models.UUIDField(default=credits.ids.new_id, primary_key=True, serialize=False)),
                ('before', models.JSONField(null=True)),
                ('after', models.JSONField()),
                ('actor', models.CharField(max_length=255)),
                ('changed_at', models.DateTimeField()),
                ('package', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='changes', to='credits.package')),
            ],
            options={
                'db_table': '"credits"."package_changes"',
                'constraints': [models.CheckConstraint(condition=models.Q(('before__isnull', True), models.Q(('before', models.F('after')), _negated=True), _connector='OR'), name='package_change_changes_something'), models.CheckConstraint(condition=models.Q(('actor__regex', '^(user|service|stripe|system|(service|operator):.+)$')), name='package_change_actor_known')],
            },
        ),
        migrations.AddIndex(
            model_name='transaction',
            index=models.Index(fields=['id'], name='transaction_by_id_idx'),
        ),
        migrations.AddIndex(
            model_name='transaction',
            index=models.Index(condition=models.Q(('related__isnull', False)), fields=['related'], name='transaction_related_idx'),
        ),
        migrations.AddIndex(
            model_name='transaction',
            index=models.Index(fields=['user_id', 'app_id', 'created_at', 'number'], name='transaction_by_app_idx'),
        ),
        migrations.AddIndex(
            model_name='transaction',
            index=models.Index(condition=models.Q(('type', 'usage'), _negated=True), fields=['user_id', 'type', 'number'], name='transaction_by_type_idx'),
        ),
        migrations.AddIndex(
            model_name='transaction',
            index=django.contrib.postgres.indexes.BrinIndex(autosummarize=True, fields=['created_at'], name='transaction_created_idx', opclasses=['timestamptz_minmax_multi_ops'], pages_per_range=32),
        ),
        migrations.AddConstraint(
            model_name='transaction',
            constraint=models.UniqueConstraint(fields=('user_id', 'number'), name='transaction_number_unique_per_user'),
        ),
        migrations.AddConstraint(
            model_name='transaction',
            constraint=models.UniqueConstraint(condition=models.Q(('cause__isnull', False)), fields=('user_id', 'cause'), name='transaction_cause_moves_once'),
        ),
        migrations.AddConstraint(
            model_name='transaction',
            constraint=models.CheckConstraint(condition=models.Q(('user_id__gt', '')), name='transaction_user_id_not_empty'),
        ),
        migrations.AddConstraint(
            model_name='transaction',
            constraint=models.CheckConstraint(condition=models.Q(('balance_after', django.db.models.expressions.CombinedExpression(models.F('balance_before'), '+', models.F('amount'))), ('number__gt', 0), models.Q(('number__gt', 1), ('balance_before', Decimal('0.0')), _connector='OR')), name='transaction_continues_the_chain'),
        ),
        migrations.AddConstraint(
            model_name='transaction',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('amount__lt', Decimal('0.0')), ('type__regex', '^(usage|clawback|gift|adjustment|reversal|expiry)$')), models.Q(('amount__gt', Decimal('0.0')), ('type__regex', '^(purchase|refund|grant|reinstatement|gift|adjustment|reversal)$')), _connector='OR'), name='transaction_sign_fits_type'),
        ),
        migrations.AddConstraint(
            model_name='transaction',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('type', 'reversal'), _negated=True), ('related__isnull', False), _connector='OR'), name='transaction_reversal_names_its_original'),
        ),
        migrations.AddConstraint(
            model_name='transaction',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('operation__isnull', True), ('type', 'usage'), _connector='OR'), ('quantity__gt', 0), ('unit_cost__gt', Decimal('0.0')), django.db.models.lookups.Exact(django.db.models.lookups.IsNull(models.F('unit_cost'), True), django.db.models.lookups.IsNull(models.F('quantity'), True)), django.db.models.lookups.Exact(models.Func('quantity', 'metering', function='num_nonnulls', output_field=models.IntegerField()), models.Func('operation', function='num_nonnulls', output_field=models.IntegerField()))), name='transaction_operation_is_a_usage_with_its_price'),
        ),
        migrations.AddConstraint(
            model_name='transaction',
            constraint=models.CheckConstraint(condition=models.Q(('actor__regex', '^(user|service|stripe|system|(service|operator):.+)$')), name='transaction_actor_known'),
        ),
        migrations.AddConstraint(
            model_name='transaction',
            constraint=models.CheckConstraint(condition=models.Q(('idempotency_key__gt', '')), name='transaction_key_not_empty'),
        ),
        migrations.AddIndex(
            model_name='syncsubscription',
            index=models.Index(condition=models.Q(('gifted_at__isnull', True), ('renews', True)), fields=['paid_until', 'user_id'], name='sync_due_idx'),
        ),
        migrations.AddConstraint(
            model_name='syncsubscription',
            constraint=models.CheckConstraint(condition=models.Q(('user_id', ''), _negated=True), name='sync_user_id_not_empty'),
        ),
        migrations.AddConstraint(
            model_name='syncsubscription',
            constraint=models.CheckConstraint(condition=models.Q(('interval__in', ['monthly', 'quarterly', 'yearly'])), name='sync_interval_known'),
        ),
        migrations.AddConstraint(
            model_name='syncsubscription',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('anchor_day__isnull', True), ('paid_from__isnull', True), ('paid_until__isnull', True)), models.Q(('anchor_day__isnull', False), ('anchor_day__range', (1, 31)), ('paid_from__isnull', False), ('paid_until__gt', models.F('paid_from')), ('paid_until__isnull', False)), _connector='OR'), name='sync_paid_period_is_whole'),
        ),
        migrations.AddConstraint(
            model_name='syncsubscription',
            constraint=models.CheckConstraint(condition=models.Q(('renews', False), ('paid_until__isnull', False), _connector='OR'), name='sync_renews_what_was_paid'),
        ),
        migrations.AddConstraint(
            model_name='syncsubscription',
            constraint=models.CheckConstraint(condition=models.Q(('paused_at__isnull', True), models.Q(('gifted_at__isnull', True), ('renews', False)), _connector='OR'), name='sync_paused_does_not_renew'),
        ),
        migrations.AddConstraint(
            model_name='syncsubscription',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('gifted_at__isnull', True), ('gifted_by__isnull', True)), models.Q(('gifted_at__isnull', False), ('gifted_by__isnull', False)), _connector='OR'), name='sync_gift_has_a_giver'),
        ),
        migrations.AddIndex(
            model_name='reservation',
            index=models.Index(fields=['id'], name='reservation_by_id_idx'),
        ),
        migrations.AddIndex(
            model_name='reservation',
            index=models.Index(condition=models.Q(('status', 'committed'), _negated=True), fields=['user_id', '-id'], name='reservation_by_user_idx'),
        ),
        migrations.AddIndex(
            model_name='reservation',
            index=models.Index(condition=models.Q(('status', 'open')), fields=['expires_at'], name='reservation_open_by_expiry_idx'),
        ),
        migrations.AddConstraint(
            model_name='reservation',
            constraint=models.UniqueConstraint(condition=models.Q(('transaction__isnull', False)), fields=('user_id', 'transaction'), name='reservation_transaction_commits_one'),
        ),
        migrations.AddConstraint(
            model_name='reservation',
            constraint=models.CheckConstraint(condition=models.Q(('user_id__gt', '')), name='reservation_user_id_not_empty'),
        ),
        migrations.AddConstraint(
            model_name='reservation',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', Decimal('0.0'))), name='reservation_amount_positive'),
        ),
        migrations.AddConstraint(
            model_name='reservation',
            constraint=models.CheckConstraint(condition=models.Q(('status__regex', '^(open|committed|released|expired)$')), name='reservation_status_known'),
        ),
        migrations.AddConstraint(
            model_name='reservation',
            constraint=models.CheckConstraint(condition=models.Q(django.db.models.lookups.Exact(django.db.models.lookups.Exact(models.F('status'), 'open'), django.db.models.lookups.IsNull(models.F('settled_at'), True))), name='reservation_settled_unless_open'),
        ),
        migrations.AddConstraint(
            model_name='reservation',
            constraint=models.CheckConstraint(condition=models.Q(('committed_amount__gt', Decimal('0.0')), models.Q(('committed_amount__lte', models.F('amount')), ('metering__isnull', False), _connector='OR'), django.db.models.lookups.Exact(django.db.models.lookups.Exact(models.F('status'), 'committed'), django.db.models.lookups.IsNull(models.F('transaction'), False)), django.db.models.lookups.Exact(django.db.models.lookups.IsNull(models.F('transaction'), True), django.db.models.lookups.IsNull(models.F('committed_amount'), True))), name='reservation_committed_names_its_transaction'),
        ),
        migrations.AddConstraint(
            model_name='reservation',
            constraint=models.CheckConstraint(condition=models.Q(('expires_at__gt', models.F('created_at'))), name='reservation_expires_after_creation'),
        ),
        migrations.AddConstraint(
            model_name='reservation',
            constraint=models.CheckConstraint(condition=models.Q(('quantity__gt', 0), ('unit_cost__gt', Decimal('0.0')), django.db.models.lookups.Exact(django.db.models.lookups.IsNull(models.F('unit_cost'), True), django.db.models.lookups.IsNull(models.F('quantity'), True)), django.db.models.lookups.Exact(models.Func('quantity', 'metering', function='num_nonnulls', output_field=models.IntegerField()), models.Func('operation', function='num_nonnulls', output_field=models.IntegerField()))), name='reservation_operation_has_its_price'),
        ),
        migrations.AddConstraint(
            model_name='reservation',
            constraint=models.CheckConstraint(condition=models.Q(('actor__regex', '^(user|service|stripe|system|(service|operator):.+)$')), name='reservation_actor_known'),
        ),
        migrations.AddIndex(
            model_name='purchase',
            index=models.Index(fields=['user_id', '-number'], name='purchase_by_user_idx'),
        ),
        migrations.AddIndex(
            model_name='purchase',
            index=models.Index(condition=models.Q(('status__in', ['pending', 'processing', 'failed'])), fields=['created_at'], name='purchase_unpaid_idx'),
        ),
        migrations.AddIndex(
            model_name='purchase',
            index=models.Index(condition=models.Q(('completed_at__isnull', False)), fields=['completed_at'], name='purchase_completed_idx'),
        ),
        migrations.AddIndex(
            model_name='purchase',
            index=models.Index(condition=models.Q(('quarantine_resolved_at__isnull', True), ('quarantined_at__isnull', False)), fields=['quarantined_at'], name='purchase_quarantined_idx'),
        ),
        migrations.AddConstraint(
            model_name='purchase',
            constraint=models.CheckConstraint(condition=models.Q(('user_id', ''), _negated=True), name='purchase_user_id_not_empty'),
        ),
        migrations.AddConstraint(
            model_name='purchase',
            constraint=models.CheckConstraint(condition=models.Q(('credits__gt', 0)), name='purchase_credits_positive'),
        ),
        migrations.AddConstraint(
            model_name='purchase',
            constraint=models.CheckConstraint(condition=models.Q(('price_euro_cents__gt', 0)), name='purchase_price_positive'),
        ),
        migrations.AddConstraint(
            model_name='purchase',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['pending', 'processing', 'failed', 'cancelled', 'completed', 'partially_refunded', 'refunded', 'disputed'])), name='purchase_status_known'),
        ),
        migrations.AddConstraint(
            model_name='purchase',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('completed_at__isnull', False), ('status__in', ('completed', 'partially_refunded', 'refunded', 'disputed')), ('stripe_payment_intent_id__isnull', False), ('transaction__isnull', False)), models.Q(models.Q(('status__in', ('completed', 'partially_refunded', 'refunded', 'disputed')), _negated=True), ('completed_at__isnull', True), ('transaction__isnull', True)), _connector='OR'), name='purchase_paid_names_its_transaction'),
        ),
        migrations.AddConstraint(
            model_name='purchase',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('cancel_url__isnull', True), ('success_url__isnull', True)), models.Q(('cancel_url__isnull', False), ('success_url__isnull', False)), _connector='OR'), name='purchase_checkout_has_both_urls'),
        ),
        migrations.AddConstraint(
            model_name='purchase',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('quarantine_reason__isnull', True), ('quarantined_at__isnull', True)), models.Q(('quarantine_reason__isnull', False), ('quarantined_at__isnull', False)), _connector='OR'), name='purchase_quarantine_has_a_reason'),
        ),
        migrations.AddConstraint(
            model_name='purchase',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('quarantine_resolution__isnull', True), ('quarantine_resolved_at__isnull', True), ('quarantine_resolved_by__isnull', True), ('quarantine_resolved_why__isnull', True)), models.Q(('quarantine_resolution__isnull', False), ('quarantine_resolved_at__isnull', False), ('quarantine_resolved_by__isnull', False), ('quarantine_resolved_why__isnull', False), ('quarantined_at__isnull', False)), _connector='OR'), name='purchase_quarantine_resolution_is_whole'),
        ),
        migrations.AddConstraint(
            model_name='purchase',
            constraint=models.CheckConstraint(condition=models.Q(('quarantine_resolution__isnull', True), ('quarantine_resolution', 'left'), models.Q(('quarantine_resolution', 'credited'), ('transaction__isnull', False)), _connector='OR'), name='purchase_quarantine_resolution_known'),
        ),
        migrations.AddConstraint(
            model_name='purchase',
            constraint=models.CheckConstraint(condition=models.Q(('quarantine_resolved_by__isnull', True), ('quarantine_resolved_by__regex', '^(user|service|stripe|system|(service|operator):.+)$'), _connector='OR'), name='purchase_quarantine_resolver_known'),
        ),
        migrations.AddIndex(
            model_name='adjustmentrequest',
            index=models.Index(fields=['user_id', '-id'], name='adjustment_by_user_idx'),
        ),
        migrations.AddIndex(
            model_name='adjustmentrequest',
            index=models.Index(condition=models.Q(('status', 'pending')), fields=['id'], name='adjustment_pending_idx'),
        ),
        migrations.AddConstraint(
            model_name='adjustmentrequest',
            constraint=models.CheckConstraint(condition=models.Q(('amount', 0), _negated=True), name='adjustment_amount_not_zero'),
        ),
        migrations.AddConstraint(
            model_name='adjustmentrequest',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['pending', 'approved', 'rejected', 'withdrawn'])), name='adjustment_status_known'),
        ),
        migrations.AddConstraint(
            model_name='adjustmentrequest',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('decided_at__isnull', True), ('decided_by__isnull', True), ('status', 'pending')), models.Q(('decided_at__isnull', False), ('decided_by', models.F('requested_by')), ('status', 'withdrawn')), models.Q(('decided_at__isnull', False), ('decided_by__isnull', False), ('status__in', ['approved', 'rejected']), models.Q(('decided_by', models.F('requested_by')), _negated=True)), _connector='OR'), name='adjustment_is_decided_by_a_second_person'),
        ),
        migrations.AddConstraint(
            model_name='adjustmentrequest',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'approved'), ('transaction__isnull', False)), models.Q(models.Q(('status', 'approved'), _negated=True), ('transaction__isnull', True)), _connector='OR'), name='adjustment_approved_names_its_transaction'),
        ),
        migrations.AddIndex(
            model_name='actrequest',
            index=models.Index(condition=models.Q(('user_id__isnull', False)), fields=['user_id', '-id'], name='act_request_by_user_idx'),
        ),
        migrations.AddConstraint(
            model_name='actrequest',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['reversal', 'refund', 'price', 'operation', 'package', 'grants', 'gift_campaign'])), name='act_request_kind_known'),
        ),
        migrations.AddConstraint(
            model_name='actrequest',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['pending', 'approved', 'rejected', 'withdrawn'])), name='act_request_status_known'),
        ),
        migrations.AddConstraint(
            model_name='actrequest',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('decided_at__isnull', True), ('decided_by__isnull', True), ('status', 'pending')), models.Q(('decided_at__isnull', False), ('decided_by', models.F('requested_by')), ('status', 'withdrawn')), models.Q(('decided_at__isnull', False), ('decided_by__isnull', False), ('status__in', ['approved', 'rejected']), models.Q(('decided_by', models.F('requested_by')), _negated=True)), _connector='OR'), name='act_request_is_decided_by_a_second_person'),
        ),
        migrations.AddConstraint(
            model_name='actrequest',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'pending')), fields=('kind', 'subject'), name='act_request_pending_once'),
        ),
        migrations.CreateModel(
            name='GrantCampaign',
            fields=[
                ('id', models.UUIDField(primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=100)),
                ('reason', models.CharField(max_length=500)),
                ('digest', models.CharField(max_length=64)),
                ('again', models.BooleanField(default=False)),
                ('count', models.IntegerField()),
                ('total', models.DecimalField(decimal_places=4, max_digits=15)),
                ('note', models.CharField(max_length=1000)),
                ('state', models.CharField(choices=[('pending', 'Pending'), ('running', 'Running'), ('completed', 'Completed'), ('rejected', 'Rejected'), ('withdrawn', 'Withdrawn')], max_length=16)),
                ('asked_by', models.CharField(max_length=150)),
                ('asked_at', models.DateTimeField()),
                ('decided_by', models.CharField(max_length=150, null=True)),
                ('completed_at', models.DateTimeField(null=True)),
                ('request', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, to='credits.actrequest')),
            ],
            options={
                'db_table': '"credits"."grant_campaigns"',
            },
        ),
        migrations.CreateModel(
            name='CampaignGrant',
            fields=[
                ('pk', models.CompositePrimaryKey('campaign_id', 'line', blank=True, editable=False, primary_key=True, serialize=False)),
                ('line', models.IntegerField()),
                ('user_id', models.CharField(blank=True, max_length=255)),
                ('amount', models.DecimalField(decimal_places=4, max_digits=15, null=True)),
                ('expires_at', models.DateTimeField(null=True)),
                ('outcome', models.CharField(choices=[('waiting', 'Waiting'), ('granted', 'Granted'), ('granted_before', 'Granted before'), ('had_another_amount', 'Had another amount'), ('refused', 'Refused'), ('left_out', 'Left out')], max_length=20)),
                ('detail', models.CharField(blank=True, max_length=500)),
                ('campaign', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='grants', to='credits.grantcampaign')),
            ],
            options={
                'db_table': '"credits"."campaign_grants"',
            },
        ),
        migrations.AddIndex(
            model_name='grantcampaign',
            index=models.Index(condition=models.Q(('state', 'running')), fields=['asked_at'], name='grant_campaign_running_idx'),
        ),
        migrations.AddIndex(
            model_name='grantcampaign',
            index=models.Index(fields=['asked_at'], name='grant_campaign_by_age_idx'),
        ),
        migrations.AddIndex(
            model_name='grantcampaign',
            index=models.Index(fields=['asked_by', '-asked_at'], name='grant_campaign_by_operator_idx'),
        ),
        migrations.AddConstraint(
            model_name='grantcampaign',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['pending', 'running', 'completed', 'rejected', 'withdrawn'])), name='grant_campaign_state_known'),
        ),
        migrations.AddConstraint(
            model_name='grantcampaign',
            constraint=models.CheckConstraint(condition=models.Q(('count__gt', 0), ('total__gt', 0)), name='grant_campaign_grants_something'),
        ),
        migrations.AddConstraint(
            model_name='grantcampaign',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('decided_by__isnull', True), ('request__isnull', False), ('state', 'pending')), models.Q(('decided_by', models.F('asked_by')), ('request__isnull', False), ('state', 'withdrawn')), models.Q(('decided_by__isnull', False), ('request__isnull', False), ('state', 'rejected'), models.Q(('decided_by', models.F('asked_by')), _negated=True)), models.Q(('state__in', ['running', 'completed']), models.Q(models.Q(('decided_by__isnull', True), ('request__isnull', True)), models.Q(('decided_by__isnull', False), ('request__isnull', False), models.Q(('decided_by', models.F('asked_by')), _negated=True)), _connector='OR')), _connector='OR'), name='grant_campaign_is_decided_by_a_second_person'),
        ),
        migrations.AddConstraint(
            model_name='grantcampaign',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('completed_at__isnull', False), ('state', 'completed')), models.Q(models.Q(('state', 'completed'), _negated=True), ('completed_at__isnull', True)), _connector='OR'), name='grant_campaign_completed_says_when'),
        ),
        migrations.AddConstraint(
            model_name='grantcampaign',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ['pending', 'running', 'completed'])), fields=('name', 'digest'), name='grant_campaign_takes_a_file_once'),
        ),
        migrations.AddConstraint(
            model_name='grantcampaign',
            constraint=models.UniqueConstraint(condition=models.Q(('again', False), ('state__in', ['pending', 'running', 'completed'])), fields=('digest',), name='grant_file_used_once_unless_meant'),
        ),
        migrations.AddIndex(
            model_name='campaigngrant',
            index=models.Index(fields=['user_id'], name='campaign_grant_by_user_idx'),
        ),
        migrations.AddIndex(
            model_name='campaigngrant',
            index=models.Index(condition=models.Q(('outcome', 'waiting')), fields=['campaign', 'line'], name='campaign_grant_waiting_idx'),
        ),
        migrations.AddConstraint(
            model_name='campaigngrant',
            constraint=models.CheckConstraint(condition=models.Q(('outcome__in', ['waiting', 'granted', 'granted_before', 'had_another_amount', 'refused', 'left_out'])), name='campaign_grant_outcome_known'),
        ),
        migrations.AddConstraint(
            model_name='campaigngrant',
            constraint=models.CheckConstraint(condition=models.Q(('outcome', 'left_out'), models.Q(('amount__gt', 0), models.Q(('user_id', ''), _negated=True)), _connector='OR'), name='campaign_grant_has_user_and_amount_unless_left_out'),
        ),
        migrations.CreateModel(
            name='AccountSettings',
            fields=[
                ('user_id', models.CharField(max_length=255, primary_key=True, serialize=False)),
                ('low_balance', models.DecimalField(decimal_places=4, max_digits=15, null=True)),
                ('crossed_at', models.DateTimeField(null=True)),
                ('language', models.CharField(blank=True, db_default='', max_length=2)),
                ('updated_at', models.DateTimeField()),
            ],
            options={
                'db_table': '"credits"."account_settings"',
                'indexes': [models.Index(condition=models.Q(('crossed_at__isnull', False)), fields=['crossed_at', 'user_id'], name='settings_crossed_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(('low_balance__isnull', True), ('low_balance__gte', 0), _connector='OR'), name='settings_low_balance_not_negative'), models.CheckConstraint(condition=models.Q(('language__in', ['', 'de', 'en'])), name='settings_language_known')],
            },
        ),
        migrations.CreateModel(
            name='SettingsChange',
            fields=[
                ('id', models.UUIDField(default=credits.ids.new_id, primary_key=True, serialize=False)),
                ('user_id', models.CharField(max_length=255)),
                ('subject', models.CharField(choices=[('spending', 'Spending'), ('auto_top_up', 'Auto Top Up')], max_length=16)),
                ('before', models.JSONField()),
                ('after', models.JSONField()),
                ('actor', models.CharField(max_length=255)),
                ('request_id', models.CharField(max_length=128, null=True)),
                ('changed_at', models.DateTimeField()),
            ],
            options={
                'db_table': '"credits"."settings_changes"',
                'indexes': [models.Index(fields=['user_id', 'id'], name='settings_change_by_user_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(('subject__in', ['spending', 'auto_top_up'])), name='settings_change_subject_known'), models.CheckConstraint(condition=models.Q(('actor__regex', '^(user|service|stripe|system|(service|operator):.+)$')), name='settings_change_actor_known')],
            },
        ),
        migrations.CreateModel(
            name='SpendingLimit',
            fields=[
                ('pk', models.CompositePrimaryKey('user_id', 'app_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('user_id', models.CharField(max_length=255)),
                ('app_id', models.CharField(blank=True, max_length=100)),
                ('amount', models.DecimalField(decimal_places=4, max_digits=15)),
                ('reached_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': '"credits"."spending_limits"',
                'constraints': [models.CheckConstraint(condition=models.Q(('amount__gte', 0)), name='spending_limit_not_negative')],
            },
        ),
        migrations.CreateModel(
            name='AutoTopUp',
            fields=[
                ('user_id', models.CharField(max_length=255, primary_key=True, serialize=False)),
                ('credits', models.DecimalField(decimal_places=4, max_digits=15)),
                ('price_euro_cents', models.IntegerField()),
                ('expires_after_days', models.IntegerField(null=True)),
                ('threshold', models.DecimalField(decimal_places=4, max_digits=15)),
                ('monthly_maximum', models.IntegerField()),
                ('stripe_customer_id', models.CharField(max_length=255)),
                ('stripe_payment_method_id', models.CharField(max_length=255)),
                ('card_brand', models.CharField(max_length=32, null=True)),
                ('card_last4', models.CharField(max_length=4, null=True)),
                ('language', models.CharField(blank=True, db_default='', max_length=2)),
                ('agreed_at', models.DateTimeField()),
                ('due_at', models.DateTimeField(null=True)),
                ('failures', models.IntegerField(db_default=0)),
                ('paused_at', models.DateTimeField(null=True)),
                ('pause_reason', models.CharField(choices=[('needs_owner', 'Needs Owner'), ('declined', 'Declined'), ('money_back', 'Money Back'), ('blocked', 'Blocked'), ('offer_changed', 'Offer Changed')], max_length=16, null=True)),
            ],
            options={
                'db_table': '"credits"."auto_top_ups"',
            },
        ),
        migrations.AddConstraint(
            model_name='purchase',
            constraint=models.UniqueConstraint(condition=models.Q(('status__in', ['pending', 'processing']), ('stripe_payment_method_id__isnull', False)), fields=('user_id',), name='purchase_one_top_up_at_a_time'),
        ),
        migrations.AddField(
            model_name='autotopup',
            name='package',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to='credits.package'),
        ),
        migrations.AddIndex(
            model_name='autotopup',
            index=models.Index(condition=models.Q(('due_at__isnull', False)), fields=['due_at', 'user_id'], name='auto_top_up_due_idx'),
        ),
        migrations.AddConstraint(
            model_name='autotopup',
            constraint=models.CheckConstraint(condition=models.Q(('threshold__gte', 0)), name='auto_top_up_threshold_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='autotopup',
            constraint=models.CheckConstraint(condition=models.Q(('monthly_maximum__gt', 0)), name='auto_top_up_maximum_positive'),
        ),
        migrations.AddConstraint(
            model_name='autotopup',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('pause_reason__isnull', True), ('paused_at__isnull', True)), models.Q(('due_at__isnull', True), ('pause_reason__isnull', False), ('paused_at__isnull', False)), _connector='OR'), name='auto_top_up_pause_has_a_reason'),
        ),
        migrations.AddConstraint(
            model_name='autotopup',
            constraint=models.CheckConstraint(condition=models.Q(('failures__gte', 0)), name='auto_top_up_failures_not_negative'),
        ),
        *install(
            "credits.ledger",
            "storage",
            "keys",
            "is_impersonal",
            "is_without_texts",
            "texts_digest",
            "transaction_digest",
            "attribution_digest",
            "transaction_fits",
            "chain_transaction",
            "refuse_change_of_history",
            "refuse_change_of_audit",
            "refuse_change_of_settings",
            "metered_price",
            "price",
            "month_spending",
            "reached_limit",
            "with_spending",
            "note_crossing",
            "note_limit",
            "mark_settings",
            "note_next_expiry",
            "fill_lot",
            "take_lots",
            "take_lots_of_batch",
            "expire_lots",
            "return_to_lots",
            "settle_lots",
            "move_lots",
            "post_transaction",
            "reserve",
            "metered_commit",
            "settle_reservation",
            "spend_batch",
            "end_lot_notice",
            "lock_balance",
            "lock_reservation",
            "lock_reservations",
            "delete_key",
            "delete_old_keys",
            "blank_key",
            "record_staff_action",
            "record_settings_change",
            "require_pseudonym",
            "erase_transactions",
            "erase_reservations",
            "erase_lots",
            "erase_staff_actions",
            "erase_settings_changes",
            "erase_balance",
        ),
        migrations.RunPython(load, migrations.RunPython.noop),
        migrations.RunPython(make_roles, migrations.RunPython.noop),
    ]
