"""Idempotency keys, and the request that each one identifies."""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q

from credits.models.fields import user_id_field


class IdempotencyKey(models.Model):
    """A key, the fingerprint of the request that first used it, and the id of that request's row.

    A key is unique per user across all kinds of requests. A replay has the same fingerprint and is
    answered with the transaction or reservation `subject_id`.
    """

    pk = models.CompositePrimaryKey("user_id", "key")
    user_id = user_id_field()
    key = models.CharField(max_length=255)
    fingerprint = models.TextField()
    # No foreign key: the row is a transaction, a reservation, a purchase or a refund.
    subject_id = models.UUIDField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = '"credits"."idempotency_keys"'
        constraints = (
            models.CheckConstraint(name="idempotency_key_not_empty", condition=~Q(key="")),
        )
        indexes = (
            # BRIN: finds old keys for deletion and costs an insert almost nothing.
            BrinIndex(
                name="idempotency_key_created_idx",
                fields=["created_at"],
                opclasses=["timestamptz_minmax_multi_ops"],
                autosummarize=True,
                pages_per_range=32,
            ),
        )
