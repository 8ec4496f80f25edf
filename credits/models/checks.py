"""Checks of the ledger: how far each user's books were verified, and the full checks."""

from django.db import models

from credits.models.fields import amount_field, user_id_field


class CheckedBalance(models.Model):
    """What the last clean check of a user's books verified: the balance as it was then.

    The next check of changes starts after transaction `last_number`. `used` and `usages` are the
    sum and number of all usages up to there. `full_check` is the id of the last full check
    that found the user's books clean. A user with a discrepancy has no row. Derived data: deleting
    a row costs no more than a full check of that user.
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
    full_check = models.BigIntegerField(null=True)

    class Meta:
        db_table = '"credits"."checked_balances"'


class LedgerCheck(models.Model):
    """One full check of the ledger; `finished_at` is null while it runs or was interrupted."""

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
