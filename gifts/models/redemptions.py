"""Redemptions of gift codes."""

from django.db import models
from django.db.models import Q

from credits.models import Transaction, id_field, user_id_field
from gifts.models.codes import GiftCode, number_field


class GiftRedemption(models.Model):
    """The user who redeemed a gift, and the `transaction` that credited them."""

    id = id_field()
    number = number_field("gifts.gift_redemption_numbers")
    # Without an index of its own, because `gift_redeemed_at_most_once` has one.
    gift_code = models.ForeignKey(
        GiftCode, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    redeemer_id = user_id_field()
    transaction = models.OneToOneField(
        Transaction, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    source_app_id = models.CharField(max_length=100, null=True)  # noqa: DJ001
    created_at = models.DateTimeField()

    class Meta:
        db_table = '"gifts"."gift_redemptions"'
        constraints = (
            # The last guard: whatever the code does, a second redemption of a gift cannot be
            # stored.
            models.UniqueConstraint(name="gift_redeemed_at_most_once", fields=["gift_code"]),
            models.UniqueConstraint(
                name="redemption_number_unique_per_redeemer", fields=["redeemer_id", "number"]
            ),
            models.CheckConstraint(
                name="redemption_redeemer_not_empty", condition=~Q(redeemer_id="")
            ),
        )
