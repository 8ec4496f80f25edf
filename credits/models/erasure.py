"""Erasure requests: users whose data the worker will erase."""

from django.db import models

from credits.models.fields import user_id_field


class ErasureRequest(models.Model):
    """A request to erase a user with many transactions.

    The row is deleted in the transaction that erases the user. `known_rows` is the number that the
    service received in the answer: the transactions, plus the balance, at the time of the request.
    """

    user_id = user_id_field(primary_key=True)
    known_rows = models.BigIntegerField()
    requested_at = models.DateTimeField()

    class Meta:
        db_table = '"credits"."erasure_requests"'
