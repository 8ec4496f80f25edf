from django.db import migrations, models


class Migration(migrations.Migration):
    """What became of a quarantined purchase: who resolved it, how, when and why."""

    dependencies = [
        ('credits', '0010_daily_sums'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='purchase',
            name='purchase_quarantined_idx',
        ),
        migrations.AddField(
            model_name='purchase',
            name='quarantine_resolution',
            field=models.CharField(choices=[('credited', 'Credited'), ('left', 'Left')], max_length=16, null=True),
        ),
        migrations.AddField(
            model_name='purchase',
            name='quarantine_resolved_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='purchase',
            name='quarantine_resolved_by',
            field=models.CharField(max_length=255, null=True),
        ),
        migrations.AddField(
            model_name='purchase',
            name='quarantine_resolved_why',
            field=models.CharField(max_length=500, null=True),
        ),
        migrations.AddField(
            model_name='purchase',
            name='quarantined_intent',
            field=models.CharField(max_length=255, null=True),
        ),
        migrations.AddIndex(
            model_name='purchase',
            index=models.Index(condition=models.Q(('quarantine_resolved_at__isnull', True), ('quarantined_at__isnull', False)), fields=['quarantined_at'], name='purchase_quarantined_idx'),
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
    ]
