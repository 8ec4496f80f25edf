"""Purchases: credits paid for through Stripe, and the buyers' Stripe customers."""

from datetime import datetime, timedelta

from django.db import models
from django.db.models import Func, Q, Value
from django.db.models.functions import Lower

from credits.models.fields import amount_field, email_field, id_field, user_id_field
from credits.models.packages import Package
from credits.models.transactions import ACTOR_PATTERN, Transaction

NEXT_NUMBER = Func(Value("credits.purchase_numbers"), function="nextval")
# Stripe's maximum is 24 hours by Stripe's clock; the minute allows for a difference of the clocks.
SESSION_LIFETIME = timedelta(hours=24) - timedelta(minutes=1)
PAID = ("completed", "partially_refunded", "refunded", "disputed")


class StripeCustomer(models.Model):
    """A user's only customer at Stripe; the row is locked while the customer is created.

    `email` is the e-mail address sent to Stripe: that of the token of the first purchase.
    """

    id = id_field()
    user_id = user_id_field(unique=True)
    stripe_customer_id = models.CharField(max_length=255, unique=True, null=True)  # noqa: DJ001
    email = email_field(null=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = '"credits"."stripe_customers"'
        constraints = (
            models.CheckConstraint(
                name="stripe_customer_user_id_not_empty", condition=~Q(user_id="")
            ),
            models.CheckConstraint(
                name="stripe_customer_email_in_lower_case",
                condition=Q(email__isnull=True) | Q(email=Lower("email")),
            ),
            models.CheckConstraint(
                name="stripe_customer_email_not_empty",
                condition=Q(email__isnull=True) | ~Q(email=""),
            ),
        )
        indexes = (models.Index(name="stripe_customer_by_email_idx", fields=["email"]),)


class Purchase(models.Model):
    """One purchase of a package, with its price, credits and expiry at the time it was started.

    `number` increases with every purchase. An opened purchase has a payment intent or a Checkout
    Session at Stripe; `unavailable_at` is the time at which Stripe could not be reached to open it.
    `reported_at` is the timestamp (Stripe's clock) of the newest report that set the status of an
    unpaid purchase. A paid purchase has the `transaction` that credited it. `failure_code` is
    Stripe's code of the attempt that made the status `failed`.

    An automatic top-up is charged to the saved payment method `stripe_payment_method_id`.

    A purchase is quarantined when Stripe reported something that does not match it. Each mismatch
    is a line of `quarantine_reason`; the newest one concerns the payment `quarantined_intent`. An
    operator either credits the purchase or leaves it, and the `quarantine_resol…` fields record the
    operator, the time and the reason. `receipt_url` and `invoice_url` are pages at Stripe.
    """

    class Status(models.TextChoices):
        """Unpaid, paid, or paid and returned. This is the wire's `status`."""

        PENDING = "pending"
        PROCESSING = "processing"
        FAILED = "failed"
        CANCELLED = "cancelled"
        COMPLETED = "completed"
        PARTIALLY_REFUNDED = "partially_refunded"
        REFUNDED = "refunded"
        DISPUTED = "disputed"

    class Resolution(models.TextChoices):
        """An operator's decision about a quarantined purchase."""

        CREDITED = "credited"
        LEFT = "left"

    id = id_field()
    # The cursor of lists, and the number by which buyers name a purchase to support. Ids are too
    # long for both.
    number = models.BigIntegerField(unique=True, db_default=NEXT_NUMBER)
    user_id = user_id_field()
    package = models.ForeignKey(Package, on_delete=models.PROTECT)
    credits = amount_field()
    price_euro_cents = models.IntegerField()
    expires_after_days = models.IntegerField(null=True)
    status = models.CharField(max_length=32, choices=Status, db_default=Status.PENDING)
    stripe_customer_id = models.CharField(max_length=255, null=True)  # noqa: DJ001
    stripe_payment_intent_id = models.CharField(  # noqa: DJ001
        max_length=255, unique=True, null=True
    )
    stripe_checkout_session_id = models.CharField(  # noqa: DJ001
        max_length=255, unique=True, null=True
    )
    stripe_payment_method_id = models.CharField(max_length=255, null=True)  # noqa: DJ001
    client_secret = models.CharField(max_length=500, null=True)  # noqa: DJ001
    success_url = models.CharField(max_length=2048, null=True)  # noqa: DJ001
    cancel_url = models.CharField(max_length=2048, null=True)  # noqa: DJ001
    checkout_url = models.TextField(null=True)  # noqa: DJ001
    failure_code = models.CharField(max_length=64, null=True)  # noqa: DJ001
    receipt_url = models.TextField(null=True)  # noqa: DJ001
    invoice_url = models.TextField(null=True)  # noqa: DJ001
    metadata = models.JSONField(null=True)
    # The foreign key is in `ledger/sql/keys.sql`: it includes the user id.
    transaction = models.OneToOneField(
        Transaction, on_delete=models.PROTECT, null=True, db_constraint=False
    )
    request_id = models.CharField(max_length=128, null=True)  # noqa: DJ001
    created_at = models.DateTimeField()
    unavailable_at = models.DateTimeField(null=True)
    reported_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)
    quarantined_at = models.DateTimeField(null=True)
    quarantine_reason = models.TextField(null=True)  # noqa: DJ001
    quarantined_intent = models.CharField(max_length=255, null=True)  # noqa: DJ001
    quarantine_resolved_at = models.DateTimeField(null=True)
    quarantine_resolution = models.CharField(  # noqa: DJ001
        max_length=16, choices=Resolution, null=True
    )
    quarantine_resolved_by = models.CharField(max_length=255, null=True)  # noqa: DJ001
    quarantine_resolved_why = models.CharField(max_length=500, null=True)  # noqa: DJ001

    class Meta:
        db_table = '"credits"."purchases"'
        constraints = (
            models.UniqueConstraint(
                # `top_up_charges` looks first. The constraint holds also for two workers at once.
                name="purchase_one_top_up_at_a_time",
                fields=["user_id"],
                condition=Q(
                    stripe_payment_method_id__isnull=False, status__in=["pending", "processing"]
                ),
            ),
            models.CheckConstraint(name="purchase_user_id_not_empty", condition=~Q(user_id="")),
            models.CheckConstraint(name="purchase_credits_positive", condition=Q(credits__gt=0)),
            models.CheckConstraint(
                name="purchase_price_positive", condition=Q(price_euro_cents__gt=0)
            ),
            models.CheckConstraint(
                name="purchase_status_known",
                condition=Q(status__in=["pending", "processing", "failed", "cancelled", *PAID]),
            ),
            models.CheckConstraint(
                name="purchase_paid_names_its_transaction",
                condition=Q(
                    status__in=PAID,
                    transaction__isnull=False,
                    completed_at__isnull=False,
                    stripe_payment_intent_id__isnull=False,
                )
                | ~Q(status__in=PAID) & Q(transaction__isnull=True, completed_at__isnull=True),
            ),
            models.CheckConstraint(
                name="purchase_checkout_has_both_urls",
                condition=Q(success_url__isnull=True, cancel_url__isnull=True)
                | Q(success_url__isnull=False, cancel_url__isnull=False),
            ),
            models.CheckConstraint(
                name="purchase_quarantine_has_a_reason",
                condition=Q(quarantined_at__isnull=True, quarantine_reason__isnull=True)
                | Q(quarantined_at__isnull=False, quarantine_reason__isnull=False),
            ),
            models.CheckConstraint(
                name="purchase_quarantine_resolution_is_whole",
                condition=Q(
                    quarantine_resolved_at__isnull=True,
                    quarantine_resolution__isnull=True,
                    quarantine_resolved_by__isnull=True,
                    quarantine_resolved_why__isnull=True,
                )
                | Q(
                    quarantined_at__isnull=False,
                    quarantine_resolved_at__isnull=False,
                    quarantine_resolution__isnull=False,
                    quarantine_resolved_by__isnull=False,
                    quarantine_resolved_why__isnull=False,
                ),
            ),
            models.CheckConstraint(
                name="purchase_quarantine_resolution_known",
                condition=Q(quarantine_resolution__isnull=True)
                | Q(quarantine_resolution="left")
                | Q(quarantine_resolution="credited", transaction__isnull=False),
            ),
            models.CheckConstraint(
                name="purchase_quarantine_resolver_known",
                condition=Q(quarantine_resolved_by__isnull=True)
                | Q(quarantine_resolved_by__regex=ACTOR_PATTERN),
            ),
        )
        indexes = (
            models.Index(name="purchase_by_user_idx", fields=["user_id", "-number"]),
            models.Index(
                # For the reconciliation, which asks Stripe about every unpaid purchase of the last
                # days.
                name="purchase_unpaid_idx",
                fields=["created_at"],
                condition=Q(status__in=["pending", "processing", "failed"]),
            ),
            models.Index(
                # For the revenue of a day.
                name="purchase_completed_idx",
                fields=["completed_at"],
                condition=Q(completed_at__isnull=False),
            ),
            models.Index(
                # For the dashboard's alarm. Resolved ones leave the index.
                name="purchase_quarantined_idx",
                fields=["quarantined_at"],
                condition=Q(quarantined_at__isnull=False, quarantine_resolved_at__isnull=True),
            ),
        )

    @property
    def paid(self) -> bool:
        """Return whether the credits were posted, even if the money was returned later."""
        return self.transaction_id is not None

    @property
    def under_review(self) -> bool:
        """Return whether the purchase is quarantined and no operator has decided yet."""
        return self.quarantined_at is not None and self.quarantine_resolved_at is None

    @property
    def creditable(self) -> bool:
        """Return whether an operator can credit the purchase: unpaid, with a payment at Stripe."""
        return not self.paid and self.quarantined_intent is not None

    @property
    def automatic(self) -> bool:
        """Return whether an automatic top-up made the purchase."""
        return self.stripe_payment_method_id is not None

    @property
    def cancellable(self) -> bool:
        """Return whether the buyer can cancel: an automatic purchase waits for no buyer."""
        unpaid = self.status in {self.Status.PENDING, self.Status.FAILED}
        return unpaid and not self.under_review and not self.automatic

    @property
    def pay_url(self) -> str | None:
        """Return the Checkout page of an unpaid purchase, which is open until `payable_until`."""
        open_ = self.status in {self.Status.PENDING, self.Status.FAILED} and not self.under_review
        return self.checkout_url if open_ else None

    @property
    def payable_until(self) -> datetime | None:
        """Return when the Checkout Session ends, or None without one."""
        return self.session_end if self.checkout_url else None

    @property
    def session_end(self) -> datetime:
        """Return when a Checkout Session of this purchase ends, counted from the purchase."""
        return self.created_at + SESSION_LIFETIME

    @property
    def opened(self) -> bool:
        """Return whether the purchase has a payment intent or a Checkout Session at Stripe."""
        return bool(self.stripe_payment_intent_id or self.stripe_checkout_session_id)
