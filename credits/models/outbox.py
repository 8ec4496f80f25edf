"""The outbox: messages to other services, committed with the change that they announce."""

from django.db import models
from django.db.models import Q

from credits.models.fields import id_field, user_id_field


class OutboxMessage(models.Model):
    """One message to mana-notify: pending until delivered, dead after the last failed attempt.

    `key` identifies what happened, so that it is announced once. The receiver gets `id` and can
    drop a duplicate. `due_at` is the time of the next attempt, `attempts` the number so far.
    """

    class Status(models.TextChoices):
        """Pending, delivered or dead. An operator can revive a dead message."""

        PENDING = "pending"
        DELIVERED = "delivered"
        DEAD = "dead"

    id = id_field()
    key = models.CharField(max_length=400)
    user_id = user_id_field()
    body = models.JSONField()
    status = models.CharField(max_length=16, choices=Status, db_default=Status.PENDING)
    attempts = models.IntegerField(db_default=0)
    due_at = models.DateTimeField()
    last_error = models.CharField(max_length=500, blank=True, db_default="")
    created_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        db_table = '"credits"."outbox"'
        constraints = (
            # A retry of the change that enqueues the message has the same key, so it is sent once.
            models.UniqueConstraint(name="outbox_key_tells_once", fields=["key"]),
            models.CheckConstraint(
                name="outbox_status_known",
                condition=Q(status__in=["pending", "delivered", "dead"]),
            ),
            models.CheckConstraint(
                name="outbox_delivered_says_when",
                condition=Q(status="delivered", delivered_at__isnull=False)
                | ~Q(status="delivered") & Q(delivered_at__isnull=True),
            ),
            models.CheckConstraint(
                name="outbox_attempts_not_negative", condition=Q(attempts__gte=0)
            ),
        )
        indexes = (
            # For the erasure of a user.
            models.Index(name="outbox_user_idx", fields=["user_id"]),
            models.Index(
                name="outbox_pending_idx", fields=["due_at"], condition=Q(status="pending")
            ),
            models.Index(
                name="outbox_delivered_idx",
                fields=["delivered_at"],
                condition=Q(status="delivered"),
            ),
            models.Index(name="outbox_dead_idx", fields=["-id"], condition=Q(status="dead")),
        )
