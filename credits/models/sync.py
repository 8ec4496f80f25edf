"""Cloud Sync subscriptions, one row per user."""

from datetime import datetime

from django.db import models
from django.db.models import F, Q

from credits.models.fields import user_id_field
from credits.models.transactions import Transaction


class SyncSubscription(models.Model):
    """A user's Cloud Sync subscription, paid from `paid_from` until `paid_until` by `charge`.

    `renews` says whether the next period will be charged. Deactivating and pausing clear it and
    keep the paid period on record. A gift (`gifted_at`) keeps sync active without charges and does
    not change the paid period. Periods end on `anchor_day`, or on the last day of a shorter month.
    """

    class Interval(models.TextChoices):
        """The length of a period."""

        MONTHLY = "monthly"
        QUARTERLY = "quarterly"
        YEARLY = "yearly"

    user_id = user_id_field(primary_key=True)
    interval = models.CharField(max_length=16, choices=Interval, db_default=Interval.MONTHLY)
    renews = models.BooleanField(db_default=False)
    anchor_day = models.SmallIntegerField(null=True)
    paid_from = models.DateTimeField(null=True)
    paid_until = models.DateTimeField(null=True)
    # The foreign key is in `ledger/sql/keys.sql`. No query looks a subscription up by its charge.
    charge = models.ForeignKey(
        Transaction, on_delete=models.PROTECT, null=True, db_index=False, db_constraint=False
    )
    paused_at = models.DateTimeField(null=True)
    gifted_at = models.DateTimeField(null=True)
    gifted_by = models.CharField(max_length=264, null=True)  # noqa: DJ001
    language = models.CharField(max_length=2, blank=True, db_default="")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = '"credits"."sync_subscriptions"'
        constraints = (
            models.CheckConstraint(name="sync_user_id_not_empty", condition=~Q(user_id="")),
            models.CheckConstraint(
                name="sync_interval_known",
                condition=Q(interval__in=["monthly", "quarterly", "yearly"]),
            ),
            models.CheckConstraint(
                name="sync_paid_period_is_whole",
                condition=Q(
                    paid_from__isnull=True, paid_until__isnull=True, anchor_day__isnull=True
                )
                | Q(
                    paid_from__isnull=False,
                    paid_until__isnull=False,
                    paid_until__gt=F("paid_from"),
                    anchor_day__isnull=False,
                    anchor_day__range=(1, 31),
                ),
            ),
            models.CheckConstraint(
                name="sync_renews_what_was_paid",
                condition=Q(renews=False) | Q(paid_until__isnull=False),
            ),
            models.CheckConstraint(
                name="sync_paused_does_not_renew",
                condition=Q(paused_at__isnull=True) | Q(renews=False, gifted_at__isnull=True),
            ),
            models.CheckConstraint(
                name="sync_gift_has_a_giver",
                condition=Q(gifted_at__isnull=True, gifted_by__isnull=True)
                | Q(gifted_at__isnull=False, gifted_by__isnull=False),
            ),
        )
        indexes = (
            models.Index(
                name="sync_due_idx",
                fields=["paid_until", "user_id"],
                condition=Q(renews=True, gifted_at__isnull=True),
            ),
        )

    @property
    def gifted(self) -> bool:
        """Return whether sync is a gift at present."""
        return self.gifted_at is not None

    @property
    def active(self) -> bool:
        """Return whether sync is active, paid or as a gift."""
        return self.renews or self.gifted

    @property
    def next_charge_at(self) -> datetime | None:
        """Return when the next period is charged, or None if none will be."""
        return self.paid_until if self.renews and not self.gifted else None
