from django.db import migrations, models
from django.db.models import Q
from django.db.models.functions import Lower


class Migration(migrations.Migration):
    """The address by which Stripe knows a customer, for the search field of the back office."""

    dependencies = [("credits", "0022_reservations_by_user")]
    operations = [
        migrations.AddField(
            model_name="stripecustomer",
            name="email",
            field=models.CharField(max_length=320, null=True),
        ),
        migrations.AddIndex(
            model_name="stripecustomer",
            index=models.Index(fields=["email"], name="stripe_customer_by_email_idx"),
        ),
        migrations.AddConstraint(
            model_name="stripecustomer",
            constraint=models.CheckConstraint(
                name="stripe_customer_email_in_lower_case",
                condition=Q(email__isnull=True) | Q(email=Lower("email")),
            ),
        ),
        migrations.AddConstraint(
            model_name="stripecustomer",
            constraint=models.CheckConstraint(
                name="stripe_customer_email_not_empty",
                condition=Q(email__isnull=True) | ~Q(email=""),
            ),
        ),
    ]
