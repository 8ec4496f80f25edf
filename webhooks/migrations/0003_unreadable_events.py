from django.db import migrations, models
from django.db.models import Q

OUTCOMES = ("applied", "unknown", "ignored", "unreadable")


class Migration(migrations.Migration):
    """An event that cannot be read is processed, with an outcome of its own."""

    dependencies = [("webhooks", "0002_roles")]
    operations = [
        migrations.AlterField(
            "stripeevent",
            "outcome",
            models.CharField(
                choices=[(one, one.capitalize()) for one in OUTCOMES], max_length=16, null=True
            ),
        ),
        migrations.RemoveConstraint("stripeevent", "stripe_event_processed_has_an_outcome"),
        migrations.AddConstraint(
            "stripeevent",
            models.CheckConstraint(
                name="stripe_event_processed_has_an_outcome",
                condition=Q(processed_at__isnull=True, outcome__isnull=True)
                | Q(processed_at__isnull=False, outcome__in=OUTCOMES),
            ),
        ),
    ]
