"""Erasure requests: people whose data the worker is going to erase."""

from django.db import models

from credits.models.fields import user_id_field


class ErasureRequest(models.Model):
    """A long history that a service asked to erase; deleted in the transaction that erases it.

    `known_rows` is what the service was answered: the transactions and the balance at that moment.
    """

    user_id = user_id_field(primary_key=True)
    known_rows = models.BigIntegerField()
    requested_at = models.DateTimeField()

    class Meta:
        db_table = '"credits"."erasure_requests"'
