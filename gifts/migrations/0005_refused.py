from django.db import migrations, models


class Migration(migrations.Migration):
    """What is tried beyond the limit is counted too, for operators to see."""

    dependencies = [("gifts", "0004_roles")]
    operations = [
        migrations.AddField(
            model_name="giftmisses",
            name="refused",
            field=models.IntegerField(db_default=0),
        ),
    ]
