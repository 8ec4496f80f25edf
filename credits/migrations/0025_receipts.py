from django.db import migrations, models


class Migration(migrations.Migration):
    """A purchase knows where Stripe shows its receipt and its invoice."""

    dependencies = [("credits", "0024_money_withdrawn_and_reinstated")]
    operations = [
        migrations.AddField("purchase", "receipt_url", models.TextField(null=True)),
        migrations.AddField("purchase", "invoice_url", models.TextField(null=True)),
    ]
