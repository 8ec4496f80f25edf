"""Gift codes: the credits that a creator has paid, until they are redeemed or go back."""

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Case, F, Func, Q, Value, When
from django.db.models.functions import Lower, Right

from credits.models import Transaction, amount_field, email_field, id_field, user_id_field
from gifts.code_format import LENGTHS, PATTERN
from gifts.display_name import NAME_LENGTH
from gifts.models.campaigns import MESSAGE_LENGTH, Campaign

SMALLEST_GIFT = 1
LARGEST_GIFT = 10_000


def number_field(sequence: str) -> "models.BigIntegerField[Any, int]":
    """Return a field with the next number of a sequence, by which lists are paginated."""
    return models.BigIntegerField(db_default=Func(Value(sequence), function="nextval"))


class GiftQuerySet(models.QuerySet["GiftCode"]):
    """Gifts, optionally with their status at a given time."""

    def as_of(self, now: datetime) -> "GiftQuerySet":
        """Annotate `status_now`, the status at `now`: an active gift past its expiry is expired."""
        over = Q(status="active", expires_at__lte=now)
        status = Case(When(over, then=Value("expired")), default="status")
        # As a mapping, because mypy rejects an annotation that is also declared on the model.
        return self.annotate(**{"status_now": status})  # noqa: PIE804


class GiftCode(models.Model):
    """Credits that `creator_id` has paid and that one user can redeem with `code`, once.

    The transaction `payment` took the credits from the creator. `campaign_number` numbers a
    campaign's codes from 1. `status_now` exists only if the gift was read with `as_of`.
    """

    class Type(models.TextChoices):
        """Simple: anybody with the code may redeem it. Personalized: only its e-mail address."""

        SIMPLE = "simple"
        PERSONALIZED = "personalized"

    class Status(models.TextChoices):
        """Active, or one of the final states. Only imported gifts are `refunded`."""

        ACTIVE = "active"
        DEPLETED = "depleted"
        EXPIRED = "expired"
        CANCELLED = "cancelled"
        REFUNDED = "refunded"

    id = id_field()
    number = number_field("gifts.gift_code_numbers")
    code = models.CharField(max_length=max(LENGTHS))
    creator_id = user_id_field()
    creator_name = models.CharField(max_length=NAME_LENGTH, null=True)  # noqa: DJ001
    total_credits = amount_field()
    type = models.CharField(max_length=16, choices=Type)
    status = models.CharField(max_length=16, choices=Status, db_default=Status.ACTIVE)
    target_email = email_field(null=True)
    message = models.CharField(max_length=MESSAGE_LENGTH, null=True)  # noqa: DJ001
    expires_at = models.DateTimeField()
    # The foreign key is in `sql/keys.sql`: it includes the user id, which Django cannot express.
    payment = models.OneToOneField(
        Transaction, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    # Without an index of its own, because that of `gift_unique_in_campaign` begins with it.
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, null=True, db_index=False)
    campaign_number = models.IntegerField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    status_now: str
    # Set by `relations.describe` for one user; not columns.
    is_for_user: bool | None
    relation: str | None
    redeemed_by_user_at: datetime | None
    objects = GiftQuerySet.as_manager()

    class Meta:
        db_table = '"gifts"."gift_codes"'
        constraints = (
            # A code is one of 2 ** 50. If two were ever the same, the second gift would fail and
            # not lose its credits.
            models.UniqueConstraint(name="gift_code_unique", fields=["code"]),
            models.UniqueConstraint(
                # The list of created gifts, whose cursor is the number, uses this index, too.
                name="gift_number_unique_per_creator",
                fields=["creator_id", "number"],
            ),
            models.UniqueConstraint(
                name="gift_unique_in_campaign", fields=["campaign", "campaign_number"]
            ),
            models.CheckConstraint(
                name="gift_code_in_alphabet",
                condition=Q(code__regex=rf"^({PATTERN})$"),
            ),
            models.CheckConstraint(name="gift_creator_not_empty", condition=~Q(creator_id="")),
            models.CheckConstraint(
                name="gift_creator_name_is_no_email_address",
                condition=Q(creator_name__isnull=True) | ~Q(creator_name__contains="@"),
            ),
            models.CheckConstraint(
                name="gift_credits_from_1_to_10000",
                condition=Q(total_credits__gte=SMALLEST_GIFT, total_credits__lte=LARGEST_GIFT),
            ),
            models.CheckConstraint(
                name="gift_type_known", condition=Q(type__in=["simple", "personalized"])
            ),
            models.CheckConstraint(
                name="gift_status_known",
                condition=Q(status__in=["active", "depleted", "expired", "cancelled", "refunded"]),
            ),
            models.CheckConstraint(
                name="gift_has_target_email_if_and_only_if_personalized",
                condition=Q(type="personalized", target_email__isnull=False)
                | Q(type="simple", target_email__isnull=True),
            ),
            models.CheckConstraint(
                name="gift_target_email_in_lower_case",
                condition=Q(target_email__isnull=True) | Q(target_email=Lower("target_email")),
            ),
            models.CheckConstraint(
                name="gift_target_email_not_empty",
                condition=Q(target_email__isnull=True) | ~Q(target_email=""),
            ),
            models.CheckConstraint(
                name="gift_expires_after_creation", condition=Q(expires_at__gt=F("created_at"))
            ),
            models.CheckConstraint(
                name="gift_is_numbered_in_its_campaign",
                condition=Q(campaign__isnull=True, campaign_number__isnull=True)
                | Q(campaign__isnull=False, campaign_number__gt=0),
            ),
        )
        indexes = (
            # Lists show only the end of a code, so support searches by it.
            models.Index(Right("code", 4), name="gift_by_end_of_code_idx"),
            models.Index(
                # For the job that returns the credits of expired gifts.
                name="gift_active_by_expiry_idx",
                fields=["expires_at"],
                condition=Q(status="active"),
            ),
            models.Index(
                # For the gifts that wait for a new user. Gifts with a final state are not in it.
                name="gift_active_by_email_idx",
                fields=["target_email"],
                condition=Q(status="active", target_email__isnull=False),
            ),
        )
        permissions = (
            ("cancel_gift", "Can cancel anybody's active gift"),
            ("extend_gift", "Can extend a gift and send its link again"),
            ("view_codes", "Can see whole gift codes"),
            ("block_user", "Can block users from gifts"),
        )

    def status_at(self, now: datetime) -> str:
        """Return the status at `now`: an active gift past its expiry is expired."""
        over = self.status == self.Status.ACTIVE and self.expires_at <= now
        return self.Status.EXPIRED.value if over else str(self.status)

    @property
    def redeemed_at(self) -> datetime | None:
        """Return when the gift was redeemed, which was its last change, or None."""
        return self.updated_at if self.status == self.Status.DEPLETED else None
