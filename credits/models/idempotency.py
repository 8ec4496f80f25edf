"""Idempotency keys: which request each of a user's keys stands for."""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q

from credits.models.fields import user_id_field


class IdempotencyKey(models.Model):
    """A key, the fingerprint of the request that used it first, and the row of that request.

    Unique per user over every kind of request. A replay has the same fingerprint; `subject_id` is
    the id of the transaction or reservation that it answers with.
    """

    pk = models.CompositePrimaryKey("user_id", "key")
    user_id = user_id_field()
    key = models.CharField(max_length=255)
    fingerprint = models.TextField()
    subject_id = models.UUIDField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = '"credits"."idempotency_keys"'
        constraints = (
            models.CheckConstraint(name="idempotency_key_not_empty", condition=~Q(key="")),
        )
        indexes = (
            # Old keys are found by it, at next to no cost per key.
            BrinIndex(
                name="idempotency_key_created_idx",
                fields=["created_at"],
                opclasses=["timestamptz_minmax_multi_ops"],
                autosummarize=True,
                pages_per_range=32,
            ),
        )
