import credits.ids
from django.db import migrations, models


class Migration(migrations.Migration):
    """What other services must be told."""

    dependencies = [
        ('credits', '0006_operations'),
    ]

    operations = [
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
                'indexes': [models.Index(fields=['user_id'], name='outbox_user_idx'), models.Index(condition=models.Q(('status', 'pending')), fields=['due_at'], name='outbox_pending_idx'), models.Index(condition=models.Q(('status', 'delivered')), fields=['delivered_at'], name='outbox_delivered_idx')],
                'constraints': [models.UniqueConstraint(fields=('key',), name='outbox_key_tells_once'), models.CheckConstraint(condition=models.Q(('status__in', ['pending', 'delivered', 'dead'])), name='outbox_status_known'), models.CheckConstraint(condition=models.Q(models.Q(('delivered_at__isnull', False), ('status', 'delivered')), models.Q(models.Q(('status', 'delivered'), _negated=True), ('delivered_at__isnull', True)), _connector='OR'), name='outbox_delivered_says_when'), models.CheckConstraint(condition=models.Q(('attempts__gte', 0)), name='outbox_attempts_not_negative')],
            },
        ),
    ]
