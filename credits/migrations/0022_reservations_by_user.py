from django.db import migrations, models


class Migration(migrations.Migration):
    """One index for the open reservations of a user and for those that a timeline tells of."""

    dependencies = [("credits", "0021_roles")]
    operations = [
        migrations.AddIndex(
            model_name="reservation",
            index=models.Index(
                condition=models.Q(("status", "committed"), _negated=True),
                fields=["user_id", "-id"],
                name="reservation_by_user_idx",
            ),
        ),
        migrations.RemoveIndex(model_name="reservation", name="reservation_open_by_user_idx"),
    ]
