"""Usage statistics: the credits a user spent in an app on a UTC day."""

from django.db import models
from django.db.models import Q

from credits.amounts import PLACES
from credits.models.fields import ZERO, user_id_field


class UsageStat(models.Model):
    """The sum and number of one user's usages in one app on one UTC day.

    The database functions update the row in the same transaction as the spend.
    """

    pk = models.CompositePrimaryKey("user_id", "date", "app_id")
    user_id = user_id_field()
    date = models.DateField()
    app_id = models.CharField(max_length=100)
    # More digits than an amount: what was refunded can be used again on the same day.
    credits_used = models.DecimalField(max_digits=20, decimal_places=PLACES)
    transactions = models.BigIntegerField()

    class Meta:
        db_table = '"credits"."usage_stats"'
        constraints = (
            models.CheckConstraint(
                name="usage_credits_positive", condition=Q(credits_used__gt=ZERO)
            ),
            models.CheckConstraint(
                name="usage_transactions_positive", condition=Q(transactions__gt=0)
            ),
        )
        # The top spenders of a period, over all users. The primary key begins with the user.
        indexes = (models.Index(name="usage_by_date_idx", fields=["date"]),)
