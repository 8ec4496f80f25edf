"""Service keys, and the credits that each service moved per day."""

from collections.abc import Mapping
from decimal import Decimal

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from credits.models import amount_field, id_field
from internal_api import scopes

NAME_LENGTH = 64


class ServiceKey(models.Model):
    """A key of one service: its name, its scopes and its caps per UTC day.

    Only the SHA-256 digest of the secret is stored, and its first characters as `prefix`. The caps
    limit the credits that the service grants, refunds without a usage, or spends per user. A null
    cap means no limit. All keys of a service share its totals.
    """

    id = id_field()
    # Not unique: after a rotation, two keys of a service are valid for a while.
    name = models.CharField(max_length=NAME_LENGTH)
    prefix = models.CharField(max_length=16)
    digest = models.CharField(max_length=64, unique=True)
    scopes = ArrayField(models.CharField(max_length=16))
    daily_grants = amount_field(null=True)
    daily_refunds = amount_field(null=True)
    daily_spend_per_user = amount_field(null=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        db_table = '"credits"."service_keys"'
        permissions = (("manage_service_keys", "Can create, rotate and revoke service keys"),)
        constraints = (
            models.CheckConstraint(name="service_key_name_not_empty", condition=~Q(name="")),
            models.CheckConstraint(
                name="service_key_scopes_known",
                condition=Q(scopes__contained_by=list(scopes.ALL), scopes__len__gt=0),
            ),
            models.CheckConstraint(
                name="service_key_caps_not_negative",
                condition=(Q(daily_grants__isnull=True) | Q(daily_grants__gte=0))
                & (Q(daily_refunds__isnull=True) | Q(daily_refunds__gte=0))
                & (Q(daily_spend_per_user__isnull=True) | Q(daily_spend_per_user__gte=0)),
            ),
            models.CheckConstraint(
                name="service_key_expires_after_creation",
                condition=Q(expires_at__isnull=True) | Q(expires_at__gt=F("created_at")),
            ),
        )

    @property
    def caps(self) -> Mapping[str, Decimal]:
        """Return the key's caps in credits, by their names."""
        caps = {
            "daily_grants": self.daily_grants,
            "daily_refunds": self.daily_refunds,
            "daily_spend_per_user": self.daily_spend_per_user,
        }
        return {name: cap for name, cap in caps.items() if cap is not None}


class ServiceTotal(models.Model):
    """The credits that a service moved on one UTC day, counted against the cap `cap`."""

    pk = models.CompositePrimaryKey("service", "day", "cap")
    service = models.CharField(max_length=NAME_LENGTH)
    day = models.DateField()
    cap = models.CharField(max_length=32)
    credits = amount_field()

    class Meta:
        db_table = '"credits"."service_totals"'
        constraints = (
            models.CheckConstraint(name="service_total_positive", condition=Q(credits__gt=0)),
        )
