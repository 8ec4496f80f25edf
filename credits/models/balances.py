"""Balances: one row per user, written only by the ledger's database functions."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import F, Q

from credits.models.fields import ZERO, amount_field, user_id_field


class Balance(models.Model):
    """One user's balance.

    `posted` is the sum of the user's transactions, `held` the sum of their open reservations.
    `posted - held` is available. `last_number` is the number of the newest transaction, and
    therefore the number of transactions. `version` is incremented by every change of the row.
    `last_digest` is the digest of the newest transaction.
    `chain_id` identifies the chain of the user's digests and survives an erasure. `chain_salt` is
    part of the digests of texts; an erasure deletes it. `has_settings` is true if the user has
    limits, a notice or an automatic top-up. Movements of all other users read no further row.
    `next_expiry` is when the first of the user's lots with credits left expires (CreditLot).
    Movements of users without one read no lots.
    """

    user_id = user_id_field(primary_key=True)
    posted = amount_field(db_default=0)
    held = amount_field(db_default=0)
    total_earned = amount_field(db_default=0)
    total_spent = amount_field(db_default=0)
    last_number = models.BigIntegerField(db_default=0)
    last_digest = models.BinaryField(null=True)
    version = models.BigIntegerField(db_default=0)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    chain_id = models.UUIDField(db_default=RandomUUID())
    chain_salt = models.UUIDField(null=True, db_default=RandomUUID())
    # Null means false.
    has_settings = models.BooleanField(null=True)
    next_expiry = models.DateTimeField(null=True)

    # The available credits that expire, set only by credits.ledger.credit_lots.balance_at.
    expiring: Sequence[Any] = ()

    class Meta:
        db_table = '"credits"."balances"'
        # Not unique: unique keys begin with the user. Anchors read the balances in this order.
        # Neither index contains a column that a movement changes, so updates stay HOT.
        indexes = (
            models.Index(name="balance_by_chain_idx", fields=["chain_id"]),
            models.Index(name="balance_by_age_idx", fields=["-created_at", "user_id"]),
        )
        constraints = (
            models.CheckConstraint(name="balance_user_id_not_empty", condition=~Q(user_id="")),
            models.CheckConstraint(name="balance_held_not_negative", condition=Q(held__gte=ZERO)),
            models.CheckConstraint(
                name="balance_earned_not_negative", condition=Q(total_earned__gte=ZERO)
            ),
            models.CheckConstraint(
                name="balance_spent_not_negative", condition=Q(total_spent__gte=ZERO)
            ),
            models.CheckConstraint(
                # One of the rules of the money, so that no code can break it, not even an import.
                name="balance_posted_is_earned_minus_spent",
                condition=Q(posted=F("total_earned") - F("total_spent")),
            ),
            models.CheckConstraint(
                name="balance_number_not_negative", condition=Q(last_number__gte=0)
            ),
        )

    @property
    def available(self) -> Decimal:
        """Return posted minus held, in credits: what can be spent. Negative is a debt."""
        available: Decimal = self.posted - self.held
        return available
