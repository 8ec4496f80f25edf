"""Idempotency keys: which request each of a user's keys stands for."""

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
