from django.db import migrations


class Migration(migrations.Migration):
    """What the back office calls the rows."""

    dependencies = [("gifts", "0005_refused")]
    operations = [
        migrations.AlterModelOptions(
            name="giftmisses", options={"verbose_name_plural": "wrong codes"}
        ),
    ]
