from django.db import migrations, models
from django.db.models import F, Q

SUMS_OF_KNOWN_RETURNS = """
    UPDATE credits.returns SET
        withdrawn_cents = amount_cents,
        reinstated_cents = CASE WHEN state = 'returned' THEN amount_cents ELSE 0 END
    WHERE state IN ('gone', 'returned')
"""


class Migration(migrations.Migration):
    """A return knows how many cents were withdrawn and how many of them came back."""

    dependencies = [("credits", "0023_email_of_customers")]
    operations = [
        migrations.AlterField("return", "amount_cents", models.BigIntegerField()),
        migrations.AddField("return", "withdrawn_cents", models.BigIntegerField(db_default=0)),
        migrations.AddField("return", "reinstated_cents", models.BigIntegerField(db_default=0)),
        migrations.AddField("return", "movements_known", models.BooleanField(db_default=False)),
        migrations.AddField("return", "stripe_status_since", models.DateTimeField(null=True)),
        migrations.RunSQL(SUMS_OF_KNOWN_RETURNS, migrations.RunSQL.noop),
        migrations.RemoveConstraint("return", "return_that_came_back_says_when"),
        migrations.AddConstraint(
            "return",
            models.CheckConstraint(
                name="return_that_came_back_says_when",
                condition=Q(reinstated_cents=0, returned_at__isnull=True)
                | Q(reinstated_cents__gt=0, returned_at__isnull=False),
            ),
        ),
        migrations.AddConstraint(
            "return",
            models.CheckConstraint(
                name="return_without_movements_moved_its_amount",
                condition=Q(movements_known=True)
                | Q(withdrawn_cents=0)
                | Q(withdrawn_cents=F("amount_cents")),
            ),
        ),
        migrations.AddConstraint(
            "return",
            models.CheckConstraint(
                name="return_state_follows_the_cents",
                condition=Q(state="gone", withdrawn_cents__gt=F("reinstated_cents"))
                | Q(
                    state="returned",
                    withdrawn_cents__gt=0,
                    withdrawn_cents__lte=F("reinstated_cents"),
                )
                | Q(
                    state__in=["requested", "open", "closed"],
                    withdrawn_cents=0,
                    reinstated_cents=0,
                ),
            ),
        ),
    ]
