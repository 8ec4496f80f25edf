"""The audit trail of operators, and adjustments and acts that wait for approval."""

from django.db import models
from django.db.models import F, Q

from credits.amounts import counted
from credits.models.fields import amount_field, id_field, user_id_field
from credits.models.transactions import Transaction

# Only the person who asked withdraws a request; somebody else approves or rejects it.
DECIDED_BY_A_SECOND_PERSON = (
    Q(status="pending", decided_by__isnull=True, decided_at__isnull=True)
    | Q(status="withdrawn", decided_by=F("requested_by"), decided_at__isnull=False)
    | Q(status__in=["approved", "rejected"], decided_by__isnull=False, decided_at__isnull=False)
    & ~Q(decided_by=F("requested_by"))
)


class StaffAction(models.Model):
    """One act of an operator. Rows are never changed or deleted.

    `action` is the permission that the act required, `user_id` the account, and `subject` the row
    that it changed (`gift:ID`). `before` and `after` hold the changed values. `key` identifies the
    submitted form, so that submitting it twice acts once. `moved` is the absolute amount in credits
    that the operator moved alone; the limits count it.
    """

    id = id_field()
    at = models.DateTimeField()
    operator = models.CharField(max_length=150)
    action = models.CharField(max_length=100)
    user_id = user_id_field(null=True)
    subject = models.CharField(max_length=400, blank=True)
    reason = models.CharField(max_length=100, blank=True)
    note = models.CharField(max_length=1000, blank=True)
    ticket = models.CharField(max_length=500, blank=True)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    address = models.CharField(max_length=64, blank=True)
    request_id = models.CharField(max_length=128, blank=True)
    key = models.UUIDField(null=True)
    moved = amount_field(null=True)

    class Meta:
        db_table = '"credits"."staff_actions"'
        constraints = (
            models.UniqueConstraint(name="staff_action_key_acts_once", fields=["key"]),
            models.CheckConstraint(
                name="staff_action_has_an_operator", condition=~Q(operator="") & ~Q(action="")
            ),
        )
        indexes = (
            models.Index(
                name="staff_action_by_user_idx",
                fields=["user_id", "-id"],
                condition=Q(user_id__isnull=False),
            ),
            models.Index(
                name="staff_action_by_ticket_idx", fields=["ticket"], condition=~Q(ticket="")
            ),
            models.Index(
                name="staff_action_by_subject_idx",
                fields=["subject", "-id"],
                condition=~Q(subject=""),
            ),
            # One index for each column by which the back office filters. Ids sort by time.
            models.Index(name="staff_action_by_operator_idx", fields=["operator", "-id"]),
            models.Index(name="staff_action_by_action_idx", fields=["action", "-id"]),
        )
        permissions = (
            ("adjust_balance", "Can adjust a balance up to the limit"),
            ("approve_adjustment", "Can approve or reject a colleague's adjustment"),
            ("reverse_transaction", "Can reverse a transaction"),
            ("refund_purchase", "Can refund a purchase"),
            ("resolve_quarantine", "Can decide about a quarantined purchase"),
            ("release_reservation", "Can release a reservation"),
            ("give_sync", "Can give Cloud Sync and take it back"),
            ("change_packages", "Can offer, change and retire packages"),
            ("change_prices", "Can change prices of operations"),
            ("retry_message", "Can send a dead message again"),
            ("export_rows", "Can export rows as CSV"),
            ("grant_to_many", "Can grant credits to many users by a file"),
            ("manage_staff", "Can manage staff accounts"),
        )


class AdjustmentRequest(models.Model):
    """An adjustment above an operator's limit, pending until a second operator decides.

    The operator who requested it cannot decide. An approved request has the `transaction` that it
    posted.
    """

    class Reason(models.TextChoices):
        """The reason for the adjustment."""

        FAILED_OPERATION = "failed_operation", "An operation failed and was charged"
        DOUBLE_CHARGE = "double_charge", "Charged twice"
        MISSING_CREDITS = "missing_credits", "Credits that never arrived"
        GOODWILL = "goodwill", "Goodwill"
        MISUSE = "misuse", "Misuse"
        CORRECTION = "correction", "Correction of an operator's mistake"

    class Status(models.TextChoices):
        """Pending, or one of three final states."""

        PENDING = "pending"
        APPROVED = "approved"
        REJECTED = "rejected"
        WITHDRAWN = "withdrawn"

    id = id_field()
    user_id = user_id_field()
    amount = amount_field()
    reason = models.CharField(max_length=32, choices=Reason)
    note = models.CharField(max_length=1000)
    ticket = models.CharField(max_length=500, blank=True)
    status = models.CharField(max_length=16, choices=Status, db_default=Status.PENDING)
    requested_by = models.CharField(max_length=150)
    requested_at = models.DateTimeField()
    decided_by = models.CharField(max_length=150, null=True)  # noqa: DJ001
    decided_at = models.DateTimeField(null=True)
    transaction = models.OneToOneField(
        Transaction, on_delete=models.PROTECT, null=True, db_constraint=False
    )

    class Meta:
        db_table = '"credits"."adjustment_requests"'
        constraints = (
            models.CheckConstraint(name="adjustment_amount_not_zero", condition=~Q(amount=0)),
            models.CheckConstraint(
                name="adjustment_status_known",
                condition=Q(status__in=["pending", "approved", "rejected", "withdrawn"]),
            ),
            models.CheckConstraint(
                name="adjustment_is_decided_by_a_second_person",
                condition=DECIDED_BY_A_SECOND_PERSON,
            ),
            models.CheckConstraint(
                name="adjustment_approved_names_its_transaction",
                condition=Q(status="approved", transaction__isnull=False)
                | ~Q(status="approved") & Q(transaction__isnull=True),
            ),
        )
        indexes = (
            models.Index(name="adjustment_by_user_idx", fields=["user_id", "-id"]),
            models.Index(
                name="adjustment_pending_idx", fields=["id"], condition=Q(status="pending")
            ),
        )

    @property
    def subject(self) -> str:
        """Return the row that the act concerns, in the form of ActRequest."""
        return f"adjustment:{self.pk}"

    @property
    def summary(self) -> str:
        """Return what the act does in words."""
        return f"Adjust by {counted(self.amount, 'credit')}"


class ActRequest(models.Model):
    """An act other than an adjustment that needs a second person: pending until it is decided.

    `subject` is the row that the act concerns (`transaction:ID`), `arguments` what the act takes,
    `summary` what it does in words. One request per kind and subject is pending at a time.
    """

    class Kind(models.TextChoices):
        """The act."""

        REVERSAL = "reversal", "Reverse a transaction"
        REFUND = "refund", "Refund a purchase"
        PRICE = "price", "Change a price"
        OPERATION = "operation", "Create an operation"
        PACKAGE = "package", "Offer a package"
        GRANTS = "grants", "Grant credits to many users"
        GIFT_CAMPAIGN = "gift_campaign", "Create a campaign of gift codes"

    Status = AdjustmentRequest.Status

    id = id_field()
    kind = models.CharField(max_length=16, choices=Kind)
    subject = models.CharField(max_length=400)
    user_id = user_id_field(null=True)
    arguments = models.JSONField(default=dict)
    summary = models.CharField(max_length=500)
    reason = models.CharField(max_length=100, blank=True)
    note = models.CharField(max_length=1000)
    ticket = models.CharField(max_length=500, blank=True)
    status = models.CharField(max_length=16, choices=Status, db_default=Status.PENDING)
    requested_by = models.CharField(max_length=150)
    requested_at = models.DateTimeField()
    decided_by = models.CharField(max_length=150, null=True)  # noqa: DJ001
    decided_at = models.DateTimeField(null=True)

    class Meta:
        db_table = '"credits"."act_requests"'
        constraints = (
            models.CheckConstraint(
                name="act_request_kind_known",
                condition=Q(
                    kind__in=[
                        *("reversal", "refund", "price", "operation", "package", "grants"),
                        "gift_campaign",
                    ]
                ),
            ),
            models.CheckConstraint(
                name="act_request_status_known",
                condition=Q(status__in=["pending", "approved", "rejected", "withdrawn"]),
            ),
            models.CheckConstraint(
                name="act_request_is_decided_by_a_second_person",
                condition=DECIDED_BY_A_SECOND_PERSON,
            ),
            models.UniqueConstraint(
                name="act_request_pending_once",
                fields=["kind", "subject"],
                condition=Q(status="pending"),
            ),
        )
        indexes = (
            models.Index(
                name="act_request_by_user_idx",
                fields=["user_id", "-id"],
                condition=Q(user_id__isnull=False),
            ),
        )
