"""Returns: money of purchases that went back, by a refund or a dispute at Stripe."""

from django.db import models
from django.db.models import F, Q

from credits.ids import new_id
from credits.models.fields import amount_field


class Return(models.Model):
    """One refund or dispute of one payment, and what it did to the credits.

    It may be known before its purchase is known to be paid, so it names the payment.
    `withdrawn_cents` left our account at Stripe and `reinstated_cents` came back to it, in sum.
    With `movements_known` both are the sums of the movements that Stripe listed; without, they
    follow from `state`. `gone_at` and `returned_at` say when we first heard of either.

    `taken` is what it holds clawed back now, by `takes` transactions with the causes `refund:ID`
    (or `dispute:ID`), `refund:ID:2` …; `given_back` when all the money came back and these were
    reinstated. `stripe_status` is the newest one that Stripe reported, since `stripe_status_since`
    by Stripe's clock. Only an operator's refund has `actor`, `reason` and, for a moment, no
    Stripe id.
    """

    class Kind(models.TextChoices):
        """Whose act it was: ours, or the buyer's bank's."""

        REFUND = "refund"
        DISPUTE = "dispute"

    class State(models.TextChoices):
        """Where the money is.

        Without known movements, a later one is never left for an earlier one.
        """

        REQUESTED = "requested"  # an operator's refund that Stripe has not confirmed
        OPEN = "open"  # a dispute, the money still here
        CLOSED = "closed"  # a dispute that ended, the money never moved
        GONE = "gone"  # more was withdrawn than reinstated
        RETURNED = "returned"  # all of it came back

    id = models.UUIDField(primary_key=True, default=new_id)
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
            models.Index(name="return_by_payment_idx", fields=["stripe_payment_intent_id"]),
            models.Index(
                name="return_requested_idx",
                fields=["created_at"],
                condition=Q(state="requested"),
            ),
        )

    @property
    def standing_cents(self) -> int:
        """How much of the money stands withdrawn after all."""
        return max(0, self.withdrawn_cents - self.reinstated_cents)
