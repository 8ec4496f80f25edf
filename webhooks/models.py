"""Events: Stripe's messages, stored under their ids before they are applied."""

from django.db import models
from django.db.models import Q

from credits.models import Purchase

OUTCOMES = ("applied", "unknown", "ignored", "unreadable")


class StripeEvent(models.Model):
    """One event as Stripe sent it.

    `processed_at` commits together with the effects of the event. `error` is the traceback of the
    last failed attempt or, for a processed event, the reason why it was not applied.
    """

    class Outcome(models.TextChoices):
        """The outcome of a processed event."""

        APPLIED = "applied"
        UNKNOWN = "unknown"  # no purchase here belongs to the payment (or not yet)
        IGNORED = "ignored"  # the type has no effect here, or another account or mode
        UNREADABLE = "unreadable"  # signed, but not in a format that Stripe documents

    id = models.CharField(primary_key=True, max_length=255)
    type = models.CharField(max_length=255)
    payload = models.TextField()
    created_at = models.DateTimeField()
    received_at = models.DateTimeField()
    processed_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=16, choices=Outcome, null=True)  # noqa: DJ001
    purchase = models.ForeignKey(Purchase, on_delete=models.PROTECT, null=True)
    attempts = models.IntegerField(db_default=0)
    error = models.TextField(null=True)  # noqa: DJ001

    class Meta:
        db_table = '"credits"."stripe_events"'
        constraints = (
            models.CheckConstraint(name="stripe_event_id_not_empty", condition=~Q(id="")),
            models.CheckConstraint(
                name="stripe_event_processed_has_an_outcome",
                condition=Q(processed_at__isnull=True, outcome__isnull=True)
                | Q(processed_at__isnull=False, outcome__in=OUTCOMES),
            ),
            models.CheckConstraint(
                name="stripe_event_attempts_not_negative", condition=Q(attempts__gte=0)
            ),
        )
        permissions = (("process_event", "Can process an event of Stripe again"),)
        indexes = (
            models.Index(
                name="stripe_event_unprocessed_idx",
                fields=["created_at"],
                condition=Q(processed_at__isnull=True),
            ),
            models.Index(
                # In descending order, PostgreSQL sorts nulls first: the unprocessed events.
                name="stripe_event_waiting_first_idx",
                fields=["-processed_at", "-received_at", "-id"],
            ),
        )

    @property
    def is_due(self) -> bool:
        """Return whether the event is unprocessed, or was unreadable when it was processed."""
        return self.processed_at is None or self.outcome == self.Outcome.UNREADABLE
