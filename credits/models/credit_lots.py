"""Lots: credits that expire, by the transaction that gave them, and what took from them."""

from django.db import models
from django.db.models import F, Q

from credits.models.fields import amount_field, user_id_field
from credits.models.transactions import Transaction


class CreditLot(models.Model):
    """The credits of one transaction that expire at `expires_at`.

    The `amount` is that of the transaction. It is the sum of `remaining`, `expired`, `repaid` (the
    part that repaid a debt) and what the uses have taken and not given back. `notice_due_at` is
    when the user is told that they expire; null after that, and for lots valid for a week or less.
    """

    transaction = models.OneToOneField(
        Transaction,
        on_delete=models.PROTECT,
        primary_key=True,
        db_constraint=False,
        related_name="lot",
    )
    user_id = user_id_field()
    amount = amount_field()
    remaining = amount_field()
    repaid = amount_field()
    expired = amount_field()
    expires_at = models.DateTimeField()
    notice_due_at = models.DateTimeField(null=True)

    class Meta:
        db_table = '"credits"."credit_lots"'
        constraints = (
            models.CheckConstraint(name="lot_user_id_not_empty", condition=~Q(user_id="")),
            models.CheckConstraint(name="lot_amount_positive", condition=Q(amount__gt=0)),
            models.CheckConstraint(
                name="lot_parts_not_negative",
                condition=Q(remaining__gte=0, repaid__gte=0, expired__gte=0),
            ),
            models.CheckConstraint(
                name="lot_parts_are_at_most_its_amount",
                condition=Q(amount__gte=F("remaining") + F("repaid") + F("expired")),
            ),
        )
        indexes = (
            models.Index(
                # The order in which a movement takes credits from lots.
                name="lot_open_by_user_idx",
                fields=["user_id", "expires_at"],
                condition=Q(remaining__gt=0),
            ),
            models.Index(
                name="lot_open_by_expiry_idx", fields=["expires_at"], condition=Q(remaining__gt=0)
            ),
            models.Index(
                name="lot_notice_due_idx",
                fields=["notice_due_at"],
                condition=Q(notice_due_at__isnull=False, remaining__gt=0),
            ),
        )


class LotUse(models.Model):
    """The credits that a transaction has taken from a lot, or that an open reservation holds.

    `taker_id` is the id of the transaction or reservation. `given_back` is what refunds, returned
    gifts and reversals of the transaction have given back to the lot.
    """

    pk = models.CompositePrimaryKey("user_id", "taker_id", "lot_id")
    user_id = user_id_field()
    taker_id = models.UUIDField()
    lot_id = models.UUIDField()
    taken = amount_field()
    given_back = amount_field(db_default=0)

    class Meta:
        db_table = '"credits"."lot_uses"'
        constraints = (
            models.CheckConstraint(name="lot_use_taken_positive", condition=Q(taken__gt=0)),
            models.CheckConstraint(
                name="lot_use_gives_back_at_most_what_it_took",
                condition=Q(given_back__gte=0, given_back__lte=F("taken")),
            ),
        )
        # For the sum of a lot's uses, and for the foreign key when an erasure deletes lots.
        indexes = (models.Index(name="lot_use_by_lot_idx", fields=["user_id", "lot_id"]),)
