"""Packages: the credits that users can buy."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from credits.models.fields import amount_field, id_field
from credits.models.transactions import ACTOR_PATTERN


class Package(models.Model):
    """An offer of `credits` for `price_euro_cents`, listed by `sort_order` while `active`.

    `name_de` and `description_de` are the German texts, if they differ from the English ones.
    `stripe_price_id` refers to the product at Stripe, for reports only. The price charged is
    `price_euro_cents`. The credits expire `expires_after_days` after the payment; null means never.
    Only `credits.payments.packages` changes rows, so that every change is recorded.
    """

    id = id_field()
    name = models.CharField(max_length=100)
    description = models.CharField(max_length=500, null=True)  # noqa: DJ001
    name_de = models.CharField(max_length=100, null=True)  # noqa: DJ001
    description_de = models.CharField(max_length=500, null=True)  # noqa: DJ001
    credits = amount_field()
    price_euro_cents = models.IntegerField()
    expires_after_days = models.IntegerField(null=True)
    stripe_price_id = models.CharField(max_length=255, null=True)  # noqa: DJ001
    active = models.BooleanField(db_default=True)
    sort_order = models.IntegerField(db_default=0)
    metadata = models.JSONField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = '"credits"."packages"'
        constraints = (
            models.CheckConstraint(name="package_name_not_empty", condition=~Q(name="")),
            models.CheckConstraint(
                name="package_german_name_not_empty",
                condition=Q(name_de__isnull=True) | ~Q(name_de=""),
            ),
            models.CheckConstraint(name="package_credits_positive", condition=Q(credits__gt=0)),
            models.CheckConstraint(
                name="package_price_positive", condition=Q(price_euro_cents__gt=0)
            ),
            models.CheckConstraint(
                name="package_expiry_positive",
                condition=Q(expires_after_days__isnull=True) | Q(expires_after_days__gt=0),
            ),
        )


class PackageChange(models.Model):
    """One change of a package: the actor, the time, the changed fields before and after.

    Rows are never changed or deleted. `before` is null if the change created the package. Credits
    are stored as text, which is exact.
    """

    id = id_field()
    package = models.ForeignKey(Package, on_delete=models.PROTECT, related_name="changes")
    before = models.JSONField(null=True)
    after = models.JSONField()
    actor = models.CharField(max_length=255)
    changed_at = models.DateTimeField()

    class Meta:
        db_table = '"credits"."package_changes"'
        constraints = (
            models.CheckConstraint(
                name="package_change_changes_something",
                condition=Q(before__isnull=True) | ~Q(before=F("after")),
            ),
            models.CheckConstraint(
                name="package_change_actor_known", condition=Q(actor__regex=ACTOR_PATTERN)
            ),
        )
