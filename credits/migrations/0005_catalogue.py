import csv
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import credits.ids
import django.db.models.deletion
import django.db.models.functions.comparison
import django.db.models.lookups
from django.db import migrations, models


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


class Migration(migrations.Migration):
    """The catalogue of operations, loaded from the price list."""

    dependencies = [
        ('credits', '0003_purchases'),
    ]

    operations = [
        migrations.CreateModel(
            name='Operation',
            fields=[
                ('key', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=100)),
                ('description', models.CharField(blank=True, max_length=500)),
                ('category', models.CharField(choices=[('ai', 'Ai'), ('premium', 'Premium')], max_length=16)),
                ('app', models.CharField(max_length=100)),
                ('cost', models.DecimalField(decimal_places=4, max_digits=15)),
                ('per_items', models.IntegerField(null=True)),
                ('active', models.BooleanField(db_default=True)),
                ('created_at', models.DateTimeField()),
                ('updated_at', models.DateTimeField()),
            ],
            options={
                'db_table': '"credits"."operations"',
                'constraints': [models.CheckConstraint(condition=models.Q(('key__regex', '^[a-z][a-z0-9_]*$')), name='operation_key_is_snake_case'), models.CheckConstraint(condition=models.Q(('category__in', ['ai', 'premium'])), name='operation_category_known'), models.CheckConstraint(condition=models.Q(('cost__gt', 0)), name='operation_cost_positive'), models.CheckConstraint(condition=models.Q(('per_items__isnull', True), ('per_items__gt', 0), _connector='OR'), name='operation_batch_positive')],
            },
        ),
        migrations.CreateModel(
            name='OperationPrice',
            fields=[
                ('id', models.UUIDField(default=credits.ids.new_id, primary_key=True, serialize=False)),
                ('cost_before', models.DecimalField(decimal_places=4, max_digits=15, null=True)),
                ('per_items_before', models.IntegerField(null=True)),
                ('cost_after', models.DecimalField(decimal_places=4, max_digits=15, null=True)),
                ('per_items_after', models.IntegerField(null=True)),
                ('actor', models.CharField(max_length=255)),
                ('changed_at', models.DateTimeField()),
                ('operation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='prices', to='credits.operation')),
            ],
            options={
                'db_table': '"credits"."operation_prices"',
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('cost_before__isnull', True), ('cost_before__gt', 0), _connector='OR'), models.Q(('cost_after__isnull', True), ('cost_after__gt', 0), _connector='OR')), name='price_costs_positive'), models.CheckConstraint(condition=models.Q(models.Q(django.db.models.lookups.Exact(django.db.models.functions.comparison.Coalesce(models.F('cost_before'), 0, output_field=models.DecimalField()), django.db.models.functions.comparison.Coalesce(models.F('cost_after'), 0, output_field=models.DecimalField())), _negated=True), models.Q(django.db.models.lookups.Exact(django.db.models.functions.comparison.Coalesce(models.F('per_items_before'), 0, output_field=models.DecimalField()), django.db.models.functions.comparison.Coalesce(models.F('per_items_after'), 0, output_field=models.DecimalField())), _negated=True), _connector='OR'), name='price_change_changes_the_price'), models.CheckConstraint(condition=models.Q(('actor__regex', '^(user|service|stripe|system|(service|operator):.+)$')), name='price_actor_known')],
            },
        ),
        migrations.RunPython(load, migrations.RunPython.noop),
    ]
