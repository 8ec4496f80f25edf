"""Transactions: the ledger. Only database functions add rows, and rows are never changed."""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q

from credits.models.fields import ZERO, amount_field, id_field, price_is_whole, user_id_field

TYPES_THAT_TAKE = r"^(usage|clawback|gift|adjustment|reversal|expiry)$"
TYPES_THAT_GIVE = r"^(purchase|refund|grant|reinstatement|gift|adjustment|reversal)$"
ACTOR_PATTERN = r"^(user|service|stripe|system|(service|operator):.+)$"


class Transaction(models.Model):
    """One signed, immutable movement in one user's ledger.

    `number` counts a user's transactions 1, 2, 3 … without gaps. `spent_change` is the change of
    the user's lifetime `total_spent`, and `amount + spent_change` that of `total_earned`. `cause`
    identifies what the movement follows from (`grant:…`, `reservation:…`); a cause moves a user's
    credits once. `related` is the transaction that this one refunds or reverses. A spend by
    operation records its price at that time: `unit_cost` for one item or batch, and `quantity`; or,
    by units, its `metering` (docs/decisions/0100-metered-prices.md).

    The database writes `digest`, the SHA-256 of the row and of the user's previous digest
    (docs/decisions/0090-the-chain-of-digests.md). `recorded_at` is the time of the INSERT if that
    is more than an hour after `created_at`. `erased_digest` is the digest of the texts that an
    erasure removed, `attribution_digest` that of an operation assigned to an old usage later.
    """

    class Type(models.TextChoices):
        """The kind of movement. This is the wire's `type`."""

        PURCHASE = "purchase"
        USAGE = "usage"
        REFUND = "refund"
        GIFT = "gift"
        GRANT = "grant"
        ADJUSTMENT = "adjustment"
        CLAWBACK = "clawback"
        REINSTATEMENT = "reinstatement"
        REVERSAL = "reversal"
        EXPIRY = "expiry"

    id = id_field()
    user_id = user_id_field()
    number = models.BigIntegerField()
    type = models.CharField(max_length=16, choices=Type)
    amount = amount_field()
    balance_before = amount_field()
    balance_after = amount_field()
    spent_change = amount_field()
    operation = models.CharField(max_length=64, null=True)  # noqa: DJ001
    unit_cost = amount_field(null=True)
    quantity = models.IntegerField(null=True)
    metering = models.JSONField(null=True)
    app_id = models.CharField(max_length=100)
    description = models.CharField(max_length=500)
    metadata = models.JSONField(null=True)
    actor = models.CharField(max_length=255)
    request_id = models.CharField(max_length=128, null=True)  # noqa: DJ001
    idempotency_key = models.CharField(max_length=255, null=True)  # noqa: DJ001
    cause = models.CharField(max_length=400, null=True)  # noqa: DJ001
    related = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, db_index=False, db_constraint=False
    )
    created_at = models.DateTimeField()
    recorded_at = models.DateTimeField(null=True)
    digest = models.BinaryField()
    erased_digest = models.BinaryField(null=True)
    attribution_digest = models.BinaryField(null=True)

    class Meta:
        db_table = '"credits"."transactions"'
        constraints = (
            models.UniqueConstraint(
                name="transaction_number_unique_per_user", fields=["user_id", "number"]
            ),
            models.UniqueConstraint(
                name="transaction_cause_moves_once",
                fields=["user_id", "cause"],
                condition=Q(cause__isnull=False),
            ),
            # PostgreSQL prepares every CHECK again for each INSERT statement, so few and short
            # CHECKs make a spend cheaper (docs/decisions/0008-fewer-checks.md).
            models.CheckConstraint(
                name="transaction_user_id_not_empty", condition=Q(user_id__gt="")
            ),
            models.CheckConstraint(
                name="transaction_continues_the_chain",
                condition=Q(number__gt=0, balance_after=F("balance_before") + F("amount"))
                & (Q(number__gt=1) | Q(balance_before=ZERO)),
            ),
            models.CheckConstraint(
                name="transaction_sign_fits_type",
                condition=Q(amount__lt=ZERO, type__regex=TYPES_THAT_TAKE)
                | Q(amount__gt=ZERO, type__regex=TYPES_THAT_GIVE),
            ),
            models.CheckConstraint(
                name="transaction_reversal_names_its_original",
                condition=~Q(type="reversal") | Q(related__isnull=False),
            ),
            models.CheckConstraint(
                name="transaction_operation_is_a_usage_with_its_price",
                condition=(Q(operation__isnull=True) | Q(type="usage")) & price_is_whole(),
            ),
            models.CheckConstraint(
                name="transaction_actor_known", condition=Q(actor__regex=ACTOR_PATTERN)
            ),
            models.CheckConstraint(
                name="transaction_key_not_empty", condition=Q(idempotency_key__gt="")
            ),
        )
        indexes = (
            # Not unique: the primary key in the database is (user_id, id), see `sql/keys.sql`.
            models.Index(name="transaction_by_id_idx", fields=["id"]),
            models.Index(
                name="transaction_related_idx",
                fields=["related"],
                condition=Q(related__isnull=False),
            ),
            # For a user's history by app or by time (see credits/ledger/history.py).
            models.Index(
                name="transaction_by_app_idx", fields=["user_id", "app_id", "created_at", "number"]
            ),
            # For a user's history by type. Usages are left out, because most rows are usages.
            models.Index(
                name="transaction_by_type_idx",
                fields=["user_id", "type", "number"],
                condition=~Q(type="usage"),
            ),
            # BRIN: finds a day of the ledger and costs an insert almost nothing. minmax_multi keeps
            # several intervals per page range, because erasure rewrites rows of any age at the
            # table's end.
            BrinIndex(
                name="transaction_created_idx",
                fields=["created_at"],
                opclasses=["timestamptz_minmax_multi_ops"],
                autosummarize=True,
                pages_per_range=32,
            ),
        )
