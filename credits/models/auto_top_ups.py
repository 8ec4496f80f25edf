"""Automatic top-ups: what a user agreed to buy when the balance falls to a threshold."""

from django.db import models
from django.db.models import Q

from credits.models.fields import amount_field, user_id_field
from credits.models.packages import Package


class AutoTopUp(models.Model):
    """A user's automatic top-up: the agreement, and when it buys next.

    A movement that takes the posted balance to `threshold` or below it sets `due_at`, the time from
    which the worker may buy. At most `monthly_maximum` purchases are made in a UTC month, at the
    agreed `credits`, `price_euro_cents` and `expires_after_days` only. `failures` counts the failed
    charges in a row when the last one was declined. `card_brand` and `card_last4` are of the saved
    card. A paused top-up buys nothing until the user agrees again.
    """

    class Pause(models.TextChoices):
        """Why a top-up is paused."""

        NEEDS_OWNER = "needs_owner"
        DECLINED = "declined"
        MONEY_BACK = "money_back"
        BLOCKED = "blocked"
        OFFER_CHANGED = "offer_changed"

    user_id = user_id_field(primary_key=True)
    # Without a foreign key in the database: on a Citus cluster, packages are not on the shards.
    package = models.ForeignKey(Package, on_delete=models.PROTECT, db_constraint=False)
    credits = amount_field()
    price_euro_cents = models.IntegerField()
    expires_after_days = models.IntegerField(null=True)
    threshold = amount_field()
    monthly_maximum = models.IntegerField()
    stripe_customer_id = models.CharField(max_length=255)
    stripe_payment_method_id = models.CharField(max_length=255)
    card_brand = models.CharField(max_length=32, null=True)  # noqa: DJ001
    card_last4 = models.CharField(max_length=4, null=True)  # noqa: DJ001
    language = models.CharField(max_length=2, blank=True, db_default="")
    agreed_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)
    failures = models.IntegerField(db_default=0)
    paused_at = models.DateTimeField(null=True)
    pause_reason = models.CharField(max_length=16, choices=Pause, null=True)  # noqa: DJ001

    class Meta:
        db_table = '"credits"."auto_top_ups"'
        constraints = (
            models.CheckConstraint(
                name="auto_top_up_threshold_not_negative", condition=Q(threshold__gte=0)
            ),
            models.CheckConstraint(
                name="auto_top_up_maximum_positive", condition=Q(monthly_maximum__gt=0)
            ),
            models.CheckConstraint(
                name="auto_top_up_pause_has_a_reason",
                condition=Q(paused_at__isnull=True, pause_reason__isnull=True)
                | Q(paused_at__isnull=False, pause_reason__isnull=False, due_at__isnull=True),
            ),
            models.CheckConstraint(
                name="auto_top_up_failures_not_negative", condition=Q(failures__gte=0)
            ),
        )
        indexes = (
            models.Index(
                # Only agreements that wait are in it, so the worker's look-up stays cheap.
                name="auto_top_up_due_idx",
                fields=["due_at", "user_id"],
                condition=Q(due_at__isnull=False),
            ),
        )
