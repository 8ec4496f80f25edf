"""Campaigns of gift codes."""

from django.db import models
from django.db.models import Q

from credits.models import amount_field, user_id_field
from gifts.display_name import NAME_LENGTH

MESSAGE_LENGTH = 500
CAMPAIGN_LENGTH = 100


class Campaign(models.Model):
    """A set of codes that an operator created, paid from the account `account_id`.

    If the credits were granted for the campaign, `actor` and `reason` are those of the grant. Until
    `made_at` codes are missing; the erasure of the account ends their creation. `codes_taken_by` is
    the operator who downloaded the codes.
    """

    name = models.CharField(max_length=CAMPAIGN_LENGTH, primary_key=True)
    account_id = user_id_field()
    count = models.IntegerField()
    credits = amount_field()
    message = models.CharField(max_length=MESSAGE_LENGTH, null=True)  # noqa: DJ001
    creator_name = models.CharField(max_length=NAME_LENGTH, null=True)  # noqa: DJ001
    actor = models.CharField(max_length=255)
    reason = models.CharField(max_length=500, null=True)  # noqa: DJ001
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField()
    made_at = models.DateTimeField(null=True)
    codes_taken_by = models.CharField(max_length=150, null=True)  # noqa: DJ001
    codes_taken_at = models.DateTimeField(null=True)

    class Meta:
        db_table = '"gifts"."gift_campaigns"'
        permissions = (("create_campaign", "Can create campaigns of gift codes"),)
        indexes = (
            models.Index(
                name="campaign_to_make_idx",
                fields=["created_at"],
                condition=Q(made_at__isnull=True),
            ),
            models.Index(name="campaign_by_age_idx", fields=["created_at"]),
        )
        constraints = (
            models.CheckConstraint(name="campaign_name_not_empty", condition=~Q(name="")),
            models.CheckConstraint(name="campaign_count_positive", condition=Q(count__gt=0)),
        )
