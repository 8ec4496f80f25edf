"""Checks of the ledger: the verified state of each user's books, and the full checks."""

from django.db import models

from credits.models.fields import amount_field, user_id_field


class CheckedBalance(models.Model):
    """A user's balance as the last check without a discrepancy verified it.

    The next check of changes starts after transaction `last_number`, whose digest is `digest`.
    `used` and `usages` are the sum and number of all usages up to that transaction. `full_check` is
    the id of the last full check that found no discrepancy. A user with a discrepancy has no row.
    This is derived data: after a row is deleted, the next check reads all of that user's
    transactions.
    """

    user_id = user_id_field(primary_key=True)
    version = models.BigIntegerField()
    last_number = models.BigIntegerField()
    posted = amount_field()
    held = amount_field()
    total_earned = amount_field()
    total_spent = amount_field()
    used = models.DecimalField(max_digits=24, decimal_places=4)
    usages = models.BigIntegerField()
    digest = models.BinaryField(null=True)
    full_check = models.BigIntegerField(null=True)

    class Meta:
        db_table = '"credits"."checked_balances"'
        # The back office sorts accounts by these. On the balances, the indexes would make every
        # movement dearer.
        indexes = (
            models.Index(name="checked_balance_by_posted_idx", fields=["-posted", "user_id"]),
            models.Index(name="checked_balance_by_spent_idx", fields=["-total_spent", "user_id"]),
        )


class LedgerCheck(models.Model):
    """One full check of the ledger; `finished_at` is null if it is running or was interrupted."""

    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    discrepancies = models.BigIntegerField(db_default=0)

    class Meta:
        db_table = '"credits"."ledger_checks"'
        constraints = (
            models.CheckConstraint(
                name="ledger_check_finishes_after_its_start",
                condition=models.Q(finished_at__isnull=True)
                | models.Q(finished_at__gte=models.F("started_at")),
            ),
        )
