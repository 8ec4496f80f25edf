"""Reservations: credits held for a spend that is not completed yet."""

from django.db import models
from django.db.models import F, Q
from django.db.models.lookups import Exact, IsNull

from credits.models.fields import (
    ZERO,
    amount_field,
    equal,
    id_field,
    null_together,
    price_is_whole,
    user_id_field,
)
from credits.models.transactions import ACTOR_PATTERN, Transaction


class Reservation(models.Model):
    """A hold on `amount` credits until `expires_at`: open, then settled once.

    A committed reservation has its transaction and the `committed_amount` that was spent. A
    reservation by operation records the price at the time of the reservation; its transaction has
    the same price. One by units has a `metering` with the most units expected: its transaction has
    the units used, and may take more than the hold. `has_lots` is true if some of the held credits
    are of lots that expire.
    """

    class Status(models.TextChoices):
        """Open, or one of three final states."""

        OPEN = "open"
        COMMITTED = "committed"
        RELEASED = "released"
        EXPIRED = "expired"

    id = id_field()
    user_id = user_id_field()
    amount = amount_field()
    operation = models.CharField(max_length=64, null=True)  # noqa: DJ001
    unit_cost = amount_field(null=True)
    quantity = models.IntegerField(null=True)
    metering = models.JSONField(null=True)
    app_id = models.CharField(max_length=100)
    reason = models.CharField(max_length=200)
    status = models.CharField(max_length=16, choices=Status, db_default=Status.OPEN)
    committed_amount = amount_field(null=True)
    # The foreign key is in `ledger/sql/keys.sql`. The unique constraint below has an index.
    transaction = models.ForeignKey(
        Transaction, on_delete=models.PROTECT, null=True, db_index=False, db_constraint=False
    )
    actor = models.CharField(max_length=255)
    request_id = models.CharField(max_length=128, null=True)  # noqa: DJ001
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)
    has_lots = models.BooleanField(null=True)

    class Meta:
        db_table = '"credits"."reservations"'
        constraints = (
            models.UniqueConstraint(
                name="reservation_transaction_commits_one",
                fields=["user_id", "transaction"],
                condition=Q(transaction__isnull=False),
            ),
            # Short, because PostgreSQL prepares them for each INSERT and UPDATE statement
            # (docs/decisions/0008-fewer-checks.md).
            models.CheckConstraint(
                name="reservation_user_id_not_empty", condition=Q(user_id__gt="")
            ),
            models.CheckConstraint(
                name="reservation_amount_positive", condition=Q(amount__gt=ZERO)
            ),
            models.CheckConstraint(
                name="reservation_status_known",
                condition=Q(status__regex=r"^(open|committed|released|expired)$"),
            ),
            models.CheckConstraint(
                name="reservation_settled_unless_open",
                condition=equal(Exact(F("status"), "open"), IsNull(F("settled_at"), True)),
            ),
            models.CheckConstraint(
                name="reservation_committed_names_its_transaction",
                condition=Q(committed_amount__gt=ZERO)
                & (Q(committed_amount__lte=F("amount")) | Q(metering__isnull=False))
                & equal(Exact(F("status"), "committed"), IsNull(F("transaction"), False))
                & null_together("transaction", "committed_amount"),
            ),
            models.CheckConstraint(
                name="reservation_expires_after_creation",
                condition=Q(expires_at__gt=F("created_at")),
            ),
            models.CheckConstraint(
                name="reservation_operation_has_its_price", condition=price_is_whole()
            ),
            models.CheckConstraint(
                name="reservation_actor_known", condition=Q(actor__regex=ACTOR_PATTERN)
            ),
        )
        indexes = (
            # Not unique: the primary key in the database is (user_id, id), see `sql/keys.sql`.
            models.Index(name="reservation_by_id_idx", fields=["id"]),
            # Committed reservations are left out: their transactions list them.
            models.Index(
                name="reservation_by_user_idx",
                fields=["user_id", "-id"],
                condition=~Q(status="committed"),
            ),
            models.Index(
                name="reservation_open_by_expiry_idx",
                fields=["expires_at"],
                condition=Q(status="open"),
            ),
        )
