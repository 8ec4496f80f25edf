import credits.ids
import django.contrib.postgres.fields
from django.db import migrations, models

from credits import roles
from credits.roles import ADMINISTRATOR, ALL

MAY = {
    **{f"view_{model}": ALL for model in ("servicekey", "servicetotal")},
    "manage_service_keys": (ADMINISTRATOR,),
}


def make_roles(apps, schema_editor):
    roles.give(apps, "internal_api", MAY)


class Migration(migrations.Migration):
    """The keys of services and their daily totals, and what roles may do with them."""

    initial = True

    dependencies = [
        ('credits', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='ServiceKey',
            fields=[
                ('id', models.UUIDField(default=credits.ids.new_id, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=64)),
                ('prefix', models.CharField(max_length=16)),
                ('digest', models.CharField(max_length=64, unique=True)),
                ('scopes', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=16), size=None)),
                ('daily_grants', models.DecimalField(decimal_places=4, max_digits=15, null=True)),
                ('daily_refunds', models.DecimalField(decimal_places=4, max_digits=15, null=True)),
                ('daily_spend_per_user', models.DecimalField(decimal_places=4, max_digits=15, null=True)),
                ('created_at', models.DateTimeField()),
                ('created_by', models.CharField(max_length=150)),
                ('expires_at', models.DateTimeField(null=True)),
                ('revoked_at', models.DateTimeField(null=True)),
                ('last_used_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': '"credits"."service_keys"',
                'permissions': (('manage_service_keys', 'Can create, rotate and revoke service keys'),),
                'constraints': [models.CheckConstraint(condition=models.Q(('name', ''), _negated=True), name='service_key_name_not_empty'), models.CheckConstraint(condition=models.Q(('scopes__contained_by', ['balance:read', 'use', 'reserve', 'refund', 'grant', 'init', 'erase', 'gifts', 'sync']), ('scopes__len__gt', 0)), name='service_key_scopes_known'), models.CheckConstraint(condition=models.Q(models.Q(('daily_grants__isnull', True), ('daily_grants__gte', 0), _connector='OR'), models.Q(('daily_refunds__isnull', True), ('daily_refunds__gte', 0), _connector='OR'), models.Q(('daily_spend_per_user__isnull', True), ('daily_spend_per_user__gte', 0), _connector='OR')), name='service_key_caps_not_negative'), models.CheckConstraint(condition=models.Q(('expires_at__isnull', True), ('expires_at__gt', models.F('created_at')), _connector='OR'), name='service_key_expires_after_creation')],
            },
        ),
        migrations.CreateModel(
            name='ServiceTotal',
            fields=[
                ('pk', models.CompositePrimaryKey('service', 'day', 'cap', blank=True, editable=False, primary_key=True, serialize=False)),
                ('service', models.CharField(max_length=64)),
                ('day', models.DateField()),
                ('cap', models.CharField(max_length=32)),
                ('credits', models.DecimalField(decimal_places=4, max_digits=15)),
            ],
            options={
                'db_table': '"credits"."service_totals"',
                'constraints': [models.CheckConstraint(condition=models.Q(('credits__gt', 0)), name='service_total_positive')],
            },
        ),
        migrations.RunPython(make_roles, migrations.RunPython.noop),
    ]
