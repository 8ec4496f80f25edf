"""Anchors: one digest over the newest digests of all users, for each day."""

from django.db import models
from django.db.models import F, Q

from credits.models.daily_totals import sum_field


class Anchor(models.Model):
    """The state of the ledger at the end of a UTC day. `credits.ledger.anchors` writes it once.

    `digest` is the SHA-256 over the newest digest of each user with transactions, `count` of them;
    `sum` is the sum of their posted balances, in credits. `number` orders the anchors for pages.
    """

    number = models.BigAutoField(primary_key=True)
    day = models.DateField(unique=True)
    count = models.BigIntegerField()
    sum = sum_field()
    digest = models.BinaryField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = '"credits"."anchors"'
        constraints = (
            models.CheckConstraint(
                # An anchor that is made before the end of its day would differ from the history
                # later.
                name="anchor_is_made_after_its_day",
                condition=Q(created_at__date__gt=F("day")),
            ),
            models.CheckConstraint(name="anchor_count_not_negative", condition=Q(count__gte=0)),
        )

    @property
    def hex(self) -> str:
        """Return the digest as 64 hexadecimal digits."""
        return bytes(self.digest).hex()
