import credits.ids
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """The history of packages."""

    dependencies = [
        ('credits', '0011_quarantine'),
    ]

    operations = [
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
    ]
