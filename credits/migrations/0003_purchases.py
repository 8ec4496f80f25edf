import credits.ids
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    """The tables of packages, purchases, Stripe's customers and money that went back."""

    dependencies = [
        ('credits', '0002_ledger'),
    ]

    operations = [
        migrations.RunSQL(
            sql="CREATE SEQUENCE credits.purchase_numbers",
            reverse_sql="DROP SEQUENCE credits.purchase_numbers",
        ),
        migrations.CreateModel(
            name='Package',
            fields=[
                ('id', models.UUIDField(default=credits.ids.new_id, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=100)),
                ('description', models.CharField(max_length=500, null=True)),
                ('credits', models.DecimalField(decimal_places=4, max_digits=15)),
                ('price_euro_cents', models.IntegerField()),
                ('stripe_price_id', models.CharField(max_length=255, null=True)),
                ('active', models.BooleanField(db_default=True)),
                ('sort_order', models.IntegerField(db_default=0)),
                ('metadata', models.JSONField(null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('updated_at', models.DateTimeField(auto_now=True)),
            ],
            options={
                'db_table': '"credits"."packages"',
                'constraints': [models.CheckConstraint(condition=models.Q(('name', ''), _negated=True), name='package_name_not_empty'), models.CheckConstraint(condition=models.Q(('credits__gt', 0)), name='package_credits_positive'), models.CheckConstraint(condition=models.Q(('price_euro_cents__gt', 0)), name='package_price_positive')],
            },
        ),
        migrations.CreateModel(
            name='Return',
            fields=[
                ('id', models.UUIDField(default=credits.ids.new_id, primary_key=True, serialize=False)),
                ('stripe_id', models.CharField(max_length=255, null=True, unique=True)),
                ('kind', models.CharField(choices=[('refund', 'Refund'), ('dispute', 'Dispute')], max_length=16)),
                ('stripe_payment_intent_id', models.CharField(max_length=255)),
                ('amount_cents', models.IntegerField()),
                ('state', models.CharField(choices=[('requested', 'Requested'), ('open', 'Open'), ('closed', 'Closed'), ('gone', 'Gone'), ('returned', 'Returned')], max_length=16)),
                ('stripe_status', models.CharField(max_length=64, null=True)),
                ('taken', models.DecimalField(db_default=0, decimal_places=4, max_digits=15)),
                ('takes', models.IntegerField(db_default=0)),
                ('given_back', models.BooleanField(db_default=False)),
                ('actor', models.CharField(max_length=255, null=True)),
                ('reason', models.CharField(max_length=500, null=True)),
                ('created_at', models.DateTimeField()),
            ],
            options={
                'db_table': '"credits"."returns"',
                'indexes': [models.Index(fields=['stripe_payment_intent_id'], name='return_by_payment_idx'), models.Index(condition=models.Q(('state', 'requested')), fields=['created_at'], name='return_requested_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(('kind__in', ['refund', 'dispute'])), name='return_kind_known'), models.CheckConstraint(condition=models.Q(('state__in', ['requested', 'open', 'closed', 'gone', 'returned'])), name='return_state_known'), models.CheckConstraint(condition=models.Q(('amount_cents__gt', 0)), name='return_amount_positive'), models.CheckConstraint(condition=models.Q(('taken__gte', 0)), name='return_taken_not_negative'), models.CheckConstraint(condition=models.Q(('state', 'requested'), ('stripe_id__isnull', False), _connector='OR'), name='return_known_to_stripe_unless_requested'), models.CheckConstraint(condition=models.Q(('state__in', ['gone', 'returned']), models.Q(('taken', 0), ('takes', 0)), _connector='OR'), name='return_takes_only_what_went_back'), models.CheckConstraint(condition=models.Q(('given_back', False), models.Q(('state', 'returned'), ('taken', 0)), _connector='OR'), name='return_given_back_holds_nothing')],
            },
        ),
        migrations.CreateModel(
            name='StripeCustomer',
            fields=[
                ('id', models.UUIDField(default=credits.ids.new_id, primary_key=True, serialize=False)),
                ('user_id', models.CharField(max_length=255, unique=True)),
                ('stripe_customer_id', models.CharField(max_length=255, null=True, unique=True)),
                ('created_at', models.DateTimeField()),
            ],
            options={
                'db_table': '"credits"."stripe_customers"',
                'constraints': [models.CheckConstraint(condition=models.Q(('user_id', ''), _negated=True), name='stripe_customer_user_id_not_empty')],
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
                ('status', models.CharField(choices=[('pending', 'Pending'), ('processing', 'Processing'), ('failed', 'Failed'), ('cancelled', 'Cancelled'), ('completed', 'Completed'), ('partially_refunded', 'Partially Refunded'), ('refunded', 'Refunded'), ('disputed', 'Disputed')], db_default='pending', max_length=32)),
                ('stripe_customer_id', models.CharField(max_length=255, null=True)),
                ('stripe_payment_intent_id', models.CharField(max_length=255, null=True, unique=True)),
                ('stripe_checkout_session_id', models.CharField(max_length=255, null=True, unique=True)),
                ('client_secret', models.CharField(max_length=500, null=True)),
                ('success_url', models.CharField(max_length=2048, null=True)),
                ('cancel_url', models.CharField(max_length=2048, null=True)),
                ('checkout_url', models.TextField(null=True)),
                ('metadata', models.JSONField(null=True)),
                ('request_id', models.CharField(max_length=128, null=True)),
                ('created_at', models.DateTimeField()),
                ('unavailable_at', models.DateTimeField(null=True)),
                ('reported_at', models.DateTimeField(null=True)),
                ('completed_at', models.DateTimeField(null=True)),
                ('quarantined_at', models.DateTimeField(null=True)),
                ('quarantine_reason', models.TextField(null=True)),
                ('package', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='credits.package')),
                ('transaction', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, to='credits.transaction')),
            ],
            options={
                'db_table': '"credits"."purchases"',
                'indexes': [models.Index(fields=['user_id', '-number'], name='purchase_by_user_idx'), models.Index(condition=models.Q(('status__in', ['pending', 'processing', 'failed'])), fields=['created_at'], name='purchase_unpaid_idx'), models.Index(condition=models.Q(('quarantined_at__isnull', False)), fields=['quarantined_at'], name='purchase_quarantined_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(('user_id', ''), _negated=True), name='purchase_user_id_not_empty'), models.CheckConstraint(condition=models.Q(('credits__gt', 0)), name='purchase_credits_positive'), models.CheckConstraint(condition=models.Q(('price_euro_cents__gt', 0)), name='purchase_price_positive'), models.CheckConstraint(condition=models.Q(('status__in', ['pending', 'processing', 'failed', 'cancelled', 'completed', 'partially_refunded', 'refunded', 'disputed'])), name='purchase_status_known'), models.CheckConstraint(condition=models.Q(models.Q(('completed_at__isnull', False), ('status__in', ('completed', 'partially_refunded', 'refunded', 'disputed')), ('stripe_payment_intent_id__isnull', False), ('transaction__isnull', False)), models.Q(models.Q(('status__in', ('completed', 'partially_refunded', 'refunded', 'disputed')), _negated=True), ('completed_at__isnull', True), ('transaction__isnull', True)), _connector='OR'), name='purchase_paid_names_its_transaction'), models.CheckConstraint(condition=models.Q(models.Q(('cancel_url__isnull', True), ('success_url__isnull', True)), models.Q(('cancel_url__isnull', False), ('success_url__isnull', False)), _connector='OR'), name='purchase_checkout_has_both_urls'), models.CheckConstraint(condition=models.Q(models.Q(('quarantine_reason__isnull', True), ('quarantined_at__isnull', True)), models.Q(('quarantine_reason__isnull', False), ('quarantined_at__isnull', False)), _connector='OR'), name='purchase_quarantine_has_a_reason')],
            },
        ),
    ]
