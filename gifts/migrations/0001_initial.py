import credits.ids
import django.db.models.deletion
import django.db.models.functions.text
from django.db import migrations, models

from credits import roles
from credits.roles import ADMINISTRATOR, ALL, FINANCE, SUPPORT
from credits.ledger.sql_files import install

LOOK = ("campaign", "giftblock", "giftcode", "giftmisses", "giftredemption")
MAY = {
    **{f"view_{model}": ALL for model in LOOK},
    "cancel_gift": (SUPPORT, FINANCE, ADMINISTRATOR),
    "extend_gift": (SUPPORT, FINANCE, ADMINISTRATOR),
    "block_user": (SUPPORT, FINANCE, ADMINISTRATOR),
    "view_codes": (FINANCE, ADMINISTRATOR),
    "create_campaign": (SUPPORT, FINANCE, ADMINISTRATOR),
}


def make_roles(apps, schema_editor):
    roles.give(apps, "gifts", MAY)


class Migration(migrations.Migration):
    """The schema `gifts`: codes, redemptions, campaigns, misses, blocks, and what roles may do."""

    initial = True

    dependencies = [
        ('credits', '0001_initial'),
    ]

    operations = [
        migrations.RunSQL("CREATE SCHEMA gifts", "DROP SCHEMA gifts CASCADE"),
        migrations.RunSQL("CREATE SEQUENCE gifts.gift_code_numbers", migrations.RunSQL.noop),
        migrations.RunSQL("CREATE SEQUENCE gifts.gift_redemption_numbers", migrations.RunSQL.noop),
        migrations.CreateModel(
            name='Campaign',
            fields=[
                ('name', models.CharField(max_length=100, primary_key=True, serialize=False)),
                ('account_id', models.CharField(max_length=255)),
                ('count', models.IntegerField()),
                ('credits', models.DecimalField(decimal_places=4, max_digits=15)),
                ('message', models.CharField(max_length=500, null=True)),
                ('creator_name', models.CharField(max_length=100, null=True)),
                ('actor', models.CharField(max_length=255)),
                ('reason', models.CharField(max_length=500, null=True)),
                ('expires_at', models.DateTimeField()),
                ('created_at', models.DateTimeField()),
                ('made_at', models.DateTimeField(null=True)),
                ('codes_taken_by', models.CharField(max_length=150, null=True)),
                ('codes_taken_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': '"gifts"."gift_campaigns"',
                'permissions': (('create_campaign', 'Can create campaigns of gift codes'),),
                'indexes': [models.Index(condition=models.Q(('made_at__isnull', True)), fields=['created_at'], name='campaign_to_make_idx'), models.Index(fields=['created_at'], name='campaign_by_age_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(('name', ''), _negated=True), name='campaign_name_not_empty'), models.CheckConstraint(condition=models.Q(('count__gt', 0)), name='campaign_count_positive')],
            },
        ),
        migrations.CreateModel(
            name='GiftBlock',
            fields=[
                ('user_id', models.CharField(max_length=255, primary_key=True, serialize=False)),
                ('by', models.CharField(max_length=150)),
                ('why', models.CharField(max_length=1000)),
                ('since', models.DateTimeField()),
            ],
            options={
                'db_table': '"gifts"."gift_blocks"',
                'indexes': [models.Index(fields=['since'], name='gift_block_by_age_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('user_id', ''), _negated=True), models.Q(('by', ''), _negated=True), models.Q(('why', ''), _negated=True)), name='gift_block_says_whom_by_whom_and_why')],
            },
        ),
        migrations.CreateModel(
            name='GiftCode',
            fields=[
                ('id', models.UUIDField(default=credits.ids.new_id, primary_key=True, serialize=False)),
                ('number', models.BigIntegerField(db_default=models.Func(models.Value('gifts.gift_code_numbers'), function='nextval'))),
                ('code', models.CharField(max_length=12)),
                ('creator_id', models.CharField(max_length=255)),
                ('creator_name', models.CharField(max_length=100, null=True)),
                ('total_credits', models.DecimalField(decimal_places=4, max_digits=15)),
                ('type', models.CharField(choices=[('simple', 'Simple'), ('personalized', 'Personalized')], max_length=16)),
                ('status', models.CharField(choices=[('active', 'Active'), ('depleted', 'Depleted'), ('expired', 'Expired'), ('cancelled', 'Cancelled'), ('refunded', 'Refunded')], db_default='active', max_length=16)),
                ('target_email', models.CharField(max_length=320, null=True)),
                ('message', models.CharField(max_length=500, null=True)),
                ('expires_at', models.DateTimeField()),
                ('campaign_number', models.IntegerField(null=True)),
                ('created_at', models.DateTimeField()),
                ('updated_at', models.DateTimeField()),
                ('campaign', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to='gifts.campaign')),
                ('payment', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='credits.transaction')),
            ],
            options={
                'db_table': '"gifts"."gift_codes"',
                'permissions': (('cancel_gift', "Can cancel anybody's active gift"), ('extend_gift', 'Can extend a gift and send its link again'), ('view_codes', 'Can see whole gift codes'), ('block_user', 'Can block users from gifts')),
            },
        ),
        migrations.CreateModel(
            name='GiftMisses',
            fields=[
                ('bucket', models.CharField(max_length=300, primary_key=True, serialize=False)),
                ('misses', models.IntegerField()),
                ('refused', models.IntegerField(db_default=0)),
                ('since', models.DateTimeField()),
            ],
            options={
                'verbose_name_plural': 'invalid codes',
                'db_table': '"gifts"."gift_misses"',
                'indexes': [models.Index(fields=['since'], name='gift_misses_by_age_idx')],
            },
        ),
        migrations.CreateModel(
            name='GiftRedemption',
            fields=[
                ('id', models.UUIDField(default=credits.ids.new_id, primary_key=True, serialize=False)),
                ('number', models.BigIntegerField(db_default=models.Func(models.Value('gifts.gift_redemption_numbers'), function='nextval'))),
                ('redeemer_id', models.CharField(max_length=255)),
                ('source_app_id', models.CharField(max_length=100, null=True)),
                ('created_at', models.DateTimeField()),
                ('gift_code', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='gifts.giftcode')),
                ('transaction', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='credits.transaction')),
            ],
            options={
                'db_table': '"gifts"."gift_redemptions"',
            },
        ),
        migrations.AddIndex(
            model_name='giftcode',
            index=models.Index(django.db.models.functions.text.Right('code', 4), name='gift_by_end_of_code_idx'),
        ),
        migrations.AddIndex(
            model_name='giftcode',
            index=models.Index(condition=models.Q(('status', 'active')), fields=['expires_at'], name='gift_active_by_expiry_idx'),
        ),
        migrations.AddIndex(
            model_name='giftcode',
            index=models.Index(condition=models.Q(('status', 'active'), ('target_email__isnull', False)), fields=['target_email'], name='gift_active_by_email_idx'),
        ),
        migrations.AddConstraint(
            model_name='giftcode',
            constraint=models.UniqueConstraint(fields=('code',), name='gift_code_unique'),
        ),
        migrations.AddConstraint(
            model_name='giftcode',
            constraint=models.UniqueConstraint(fields=('creator_id', 'number'), name='gift_number_unique_per_creator'),
        ),
        migrations.AddConstraint(
            model_name='giftcode',
            constraint=models.UniqueConstraint(fields=('campaign', 'campaign_number'), name='gift_unique_in_campaign'),
        ),
        migrations.AddConstraint(
            model_name='giftcode',
            constraint=models.CheckConstraint(condition=models.Q(('code__regex', '^([ABCDEFGHJKLMNPQRSTUVWXYZ23456789]{6}|[ABCDEFGHJKLMNPQRSTUVWXYZ23456789]{10}|[ABCDEFGHJKLMNPQRSTUVWXYZ23456789]{12})$')), name='gift_code_in_alphabet'),
        ),
        migrations.AddConstraint(
            model_name='giftcode',
            constraint=models.CheckConstraint(condition=models.Q(('creator_id', ''), _negated=True), name='gift_creator_not_empty'),
        ),
        migrations.AddConstraint(
            model_name='giftcode',
            constraint=models.CheckConstraint(condition=models.Q(('creator_name__isnull', True), models.Q(('creator_name__contains', '@'), _negated=True), _connector='OR'), name='gift_creator_name_is_no_email_address'),
        ),
        migrations.AddConstraint(
            model_name='giftcode',
            constraint=models.CheckConstraint(condition=models.Q(('total_credits__gte', 1), ('total_credits__lte', 10000)), name='gift_credits_from_1_to_10000'),
        ),
        migrations.AddConstraint(
            model_name='giftcode',
            constraint=models.CheckConstraint(condition=models.Q(('type__in', ['simple', 'personalized'])), name='gift_type_known'),
        ),
        migrations.AddConstraint(
            model_name='giftcode',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['active', 'depleted', 'expired', 'cancelled', 'refunded'])), name='gift_status_known'),
        ),
        migrations.AddConstraint(
            model_name='giftcode',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('target_email__isnull', False), ('type', 'personalized')), models.Q(('target_email__isnull', True), ('type', 'simple')), _connector='OR'), name='gift_has_target_email_if_and_only_if_personalized'),
        ),
        migrations.AddConstraint(
            model_name='giftcode',
            constraint=models.CheckConstraint(condition=models.Q(('target_email__isnull', True), ('target_email', django.db.models.functions.text.Lower('target_email')), _connector='OR'), name='gift_target_email_in_lower_case'),
        ),
        migrations.AddConstraint(
            model_name='giftcode',
            constraint=models.CheckConstraint(condition=models.Q(('target_email__isnull', True), models.Q(('target_email', ''), _negated=True), _connector='OR'), name='gift_target_email_not_empty'),
        ),
        migrations.AddConstraint(
            model_name='giftcode',
            constraint=models.CheckConstraint(condition=models.Q(('expires_at__gt', models.F('created_at'))), name='gift_expires_after_creation'),
        ),
        migrations.AddConstraint(
            model_name='giftcode',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('campaign__isnull', True), ('campaign_number__isnull', True)), models.Q(('campaign__isnull', False), ('campaign_number__gt', 0)), _connector='OR'), name='gift_is_numbered_in_its_campaign'),
        ),
        migrations.AddConstraint(
            model_name='giftredemption',
            constraint=models.UniqueConstraint(fields=('gift_code',), name='gift_redeemed_at_most_once'),
        ),
        migrations.AddConstraint(
            model_name='giftredemption',
            constraint=models.UniqueConstraint(fields=('redeemer_id', 'number'), name='redemption_number_unique_per_redeemer'),
        ),
        migrations.AddConstraint(
            model_name='giftredemption',
            constraint=models.CheckConstraint(condition=models.Q(('redeemer_id', ''), _negated=True), name='redemption_redeemer_not_empty'),
        ),
        *install(
            "gifts",
            "storage",
            "keys",
            "refuse_change_of_gift",
            "refuse_change_of_redemption",
            "create_gift",
            "redeem_gift",
        ),
        migrations.RunPython(make_roles, migrations.RunPython.noop),
    ]
