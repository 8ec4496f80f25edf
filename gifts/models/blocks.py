"""Users whom operators have blocked from gifts."""

from django.db import models
from django.db.models import Q

from credits.models import user_id_field


class GiftBlock(models.Model):
    """A user who may neither create nor redeem gifts: blocked `by` an operator for a reason."""

    user_id = user_id_field(primary_key=True)
    by = models.CharField(max_length=150)
    why = models.CharField(max_length=1000)
    since = models.DateTimeField()

    class Meta:
        db_table = '"gifts"."gift_blocks"'
        indexes = (models.Index(name="gift_block_by_age_idx", fields=["since"]),)
        constraints = (
            models.CheckConstraint(
                name="gift_block_says_whom_by_whom_and_why",
                condition=~Q(user_id="") & ~Q(by="") & ~Q(why=""),
            ),
        )
