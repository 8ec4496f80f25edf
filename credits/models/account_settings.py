"""A user's own settings: the low-balance notice, spending limits, and a record of every change."""

from django.db import models
from django.db.models import Q

from credits.models.fields import amount_field, id_field, user_id_field
from credits.models.transactions import ACTOR_PATTERN


class AccountSettings(models.Model):
    """The settings of a user who has any; `Balance.has_settings` says if a movement reads them.

    The user is notified when a movement takes the posted balance to `low_balance` or below it.
    `crossed_at` is the time of a crossing that was not announced yet. `language` is that of the
    notice, empty if it is unknown.
    """

    user_id = user_id_field(primary_key=True)
    low_balance = amount_field(null=True)
    crossed_at = models.DateTimeField(null=True)
    language = models.CharField(max_length=2, blank=True, db_default="")
    updated_at = models.DateTimeField()

    class Meta:
        db_table = '"credits"."account_settings"'
        constraints = (
            models.CheckConstraint(
                name="settings_low_balance_not_negative",
                condition=Q(low_balance__isnull=True) | Q(low_balance__gte=0),
            ),
            models.CheckConstraint(
                name="settings_language_known", condition=Q(language__in=["", "de", "en"])
            ),
        )
        indexes = (
            models.Index(
                # The due rows of the notices. A partial index contains only rows that wait, so it
                # stays small.
                name="settings_crossed_idx",
                fields=["crossed_at", "user_id"],
                condition=Q(crossed_at__isnull=False),
            ),
        )


class SpendingLimit(models.Model):
    """The most credits that a user spends in a UTC month in one app; empty means in all apps.

    `reached_at` is the time of the newest month's first spend that the limit refused.
    """

    # The key begins with the user, as every unique key: on a Citus cluster, rows are distributed by
    # it.
    pk = models.CompositePrimaryKey("user_id", "app_id")
    user_id = user_id_field()
    app_id = models.CharField(max_length=100, blank=True)
    amount = amount_field()
    reached_at = models.DateTimeField(null=True)

    class Meta:
        db_table = '"credits"."spending_limits"'
        constraints = (
            models.CheckConstraint(name="spending_limit_not_negative", condition=Q(amount__gte=0)),
        )


class SettingsChange(models.Model):
    """One change of a user's settings, with the values before and after. Rows are only added."""

    class Subject(models.TextChoices):
        """The settings that changed."""

        SPENDING = "spending"
        AUTO_TOP_UP = "auto_top_up"

    id = id_field()
    user_id = user_id_field()
    subject = models.CharField(max_length=16, choices=Subject)
    before = models.JSONField()
    after = models.JSONField()
    actor = models.CharField(max_length=255)
    request_id = models.CharField(max_length=128, null=True)  # noqa: DJ001
    changed_at = models.DateTimeField()

    class Meta:
        db_table = '"credits"."settings_changes"'
        constraints = (
            models.CheckConstraint(
                name="settings_change_subject_known",
                condition=Q(subject__in=["spending", "auto_top_up"]),
            ),
            models.CheckConstraint(
                name="settings_change_actor_known", condition=Q(actor__regex=ACTOR_PATTERN)
            ),
        )
        # For the account's page and for erasure and export. Ids sort by time.
        indexes = (models.Index(name="settings_change_by_user_idx", fields=["user_id", "id"]),)
