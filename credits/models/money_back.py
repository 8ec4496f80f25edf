"""Money back: refunds and disputes of purchases at Stripe."""

from django.db import models
from django.db.models import F, Q

from credits.models.fields import amount_field, id_field


class MoneyBack(models.Model):
    """One refund or dispute of one payment, and its effect on the credits.

    The row refers to the payment intent, because a refund or dispute may be reported before the
    purchase is known to be paid. `withdrawn_cents` is the total that left our Stripe account,
    `reinstated_cents` the total that returned to it. With `movements_known` both are sums of the
    balance transactions that Stripe listed; otherwise they are derived from `state`. `gone_at` and
    `returned_at` are the times at which we first received a report of either.

    `taken` is the amount of credits clawed back at present, by `takes` transactions with the causes
    `refund:ID` (or `dispute:ID`), `refund:ID:2` and so on. `given_back` is set when all the money
    has returned and these credits were reinstated. `stripe_status` is the newest status that Stripe
    reported, valid since `stripe_status_since` by Stripe's clock. Only a refund requested by an
    operator has `actor` and `reason`, and it has no Stripe id until Stripe answers.
    """

    class Kind(models.TextChoices):
        """A refund is made by us, a dispute by the buyer's bank."""

        REFUND = "refund"
        DISPUTE = "dispute"

    class State(models.TextChoices):
        """Where the money is, in the order of the stages.

        Without known movements, a state never changes to an earlier one, because Stripe's events
        can arrive in any order.
        """

        REQUESTED = "requested"  # an operator's refund that Stripe has not confirmed
        OPEN = "open"  # an open dispute; the money has not been withdrawn
        CLOSED = "closed"  # a closed dispute; the money was never withdrawn
        GONE = "gone"  # more was withdrawn than reinstated
        RETURNED = "returned"  # everything withdrawn was reinstated

    id = id_field()
    stripe_id = models.CharField(max_length=255, unique=True, null=True)  # noqa: DJ001
    kind = models.CharField(max_length=16, choices=Kind)
    stripe_payment_intent_id = models.CharField(max_length=255)
    amount_cents = models.BigIntegerField()
    withdrawn_cents = models.BigIntegerField(db_default=0)
    reinstated_cents = models.BigIntegerField(db_default=0)
    movements_known = models.BooleanField(db_default=False)
    state = models.CharField(max_length=16, choices=State)
    stripe_status = models.CharField(max_length=64, null=True)  # noqa: DJ001
    stripe_status_since = models.DateTimeField(null=True)
    taken = amount_field(db_default=0)
    takes = models.IntegerField(db_default=0)
    given_back = models.BooleanField(db_default=False)
    actor = models.CharField(max_length=255, null=True)  # noqa: DJ001
    reason = models.CharField(max_length=500, null=True)  # noqa: DJ001
    created_at = models.DateTimeField()
    gone_at = models.DateTimeField(null=True)
    returned_at = models.DateTimeField(null=True)

    class Meta:
        db_table = '"credits"."returns"'
        constraints = (
            models.CheckConstraint(
                name="return_kind_known", condition=Q(kind__in=["refund", "dispute"])
            ),
            models.CheckConstraint(
                name="return_state_known",
                condition=Q(state__in=["requested", "open", "closed", "gone", "returned"]),
            ),
            models.CheckConstraint(name="return_amount_positive", condition=Q(amount_cents__gt=0)),
            models.CheckConstraint(name="return_taken_not_negative", condition=Q(taken__gte=0)),
            models.CheckConstraint(
                name="return_known_to_stripe_unless_requested",
                condition=Q(state="requested") | Q(stripe_id__isnull=False),
            ),
            models.CheckConstraint(
                # Credits follow the money: nothing is taken for a refund or dispute whose money did
                # not move.
                name="return_takes_only_what_went_back",
                condition=Q(state__in=["gone", "returned"]) | Q(takes=0, taken=0),
            ),
            models.CheckConstraint(
                name="return_given_back_holds_nothing",
                condition=Q(given_back=False) | Q(state="returned", taken=0),
            ),
            models.CheckConstraint(
                name="return_moved_says_when",
                condition=Q(state__in=["gone", "returned"], gone_at__isnull=False)
                | ~Q(state__in=["gone", "returned"]) & Q(gone_at__isnull=True),
            ),
            models.CheckConstraint(
                name="return_that_came_back_says_when",
                condition=Q(reinstated_cents=0, returned_at__isnull=True)
                | Q(reinstated_cents__gt=0, returned_at__isnull=False),
            ),
            models.CheckConstraint(
                name="return_without_movements_moved_its_amount",
                condition=Q(movements_known=True)
                | Q(withdrawn_cents=0)
                | Q(withdrawn_cents=F("amount_cents")),
            ),
            models.CheckConstraint(
                name="return_state_follows_the_cents",
                condition=Q(state="gone", withdrawn_cents__gt=F("reinstated_cents"))
                | Q(
                    state="returned",
                    withdrawn_cents__gt=0,
                    withdrawn_cents__lte=F("reinstated_cents"),
                )
                | Q(
                    state__in=["requested", "open", "closed"],
                    withdrawn_cents=0,
                    reinstated_cents=0,
                ),
            ),
        )
        indexes = (
            # Refunds and disputes are always read by their payment, under its lock.
            models.Index(name="return_by_payment_idx", fields=["stripe_payment_intent_id"]),
            models.Index(
                name="return_requested_idx",
                fields=["created_at"],
                condition=Q(state="requested"),
            ),
        )

    @property
    def standing_cents(self) -> int:
        """Return the cents that are withdrawn and not reinstated."""
        return max(0, self.withdrawn_cents - self.reinstated_cents)
