from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('credits', '0022_reservations_by_user'),
        ('webhooks', '0001_stripe_events'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='stripeevent',
            options={'permissions': (('process_event', 'Can process an event again'),)},
        ),
        migrations.AddIndex(
            model_name='stripeevent',
            index=models.Index(fields=['-created_at'], name='stripe_event_by_time_idx'),
        ),
    ]
