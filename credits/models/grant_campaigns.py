"""Campaigns of grants: a file of users and amounts, its approval, and the outcome of each row."""

from django.db import models
from django.db.models import F, Q

from credits.models.audit import ActRequest
from credits.models.fields import amount_field, user_id_field

NAME_LENGTH = 100
REASON_LENGTH = 500


class GrantCampaign(models.Model):
    """A file of grants under a name. `asked_by` asks for it, and it is posted row by row.

    `id` is the key of the form that asked, `reason` the description of the transactions, `digest`
    the SHA-256 of the file's grants, and `total` their sum in credits. `request` is the request for
    approval; a campaign within the operator's limit has none. `again` says that the operator meant
    to grant an earlier campaign's file once more.
    """

    class State(models.TextChoices):
        """Waiting for a second person, being posted, or one of three final states."""

        PENDING = "pending"
        RUNNING = "running"
        COMPLETED = "completed"
        REJECTED = "rejected"
        WITHDRAWN = "withdrawn"

    id = models.UUIDField(primary_key=True)
    name = models.CharField(max_length=NAME_LENGTH)
    reason = models.CharField(max_length=REASON_LENGTH)
    digest = models.CharField(max_length=64)
    again = models.BooleanField(default=False)
    count = models.IntegerField()
    total = amount_field()
    note = models.CharField(max_length=1000)
    state = models.CharField(max_length=16, choices=State)
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField()
    request = models.OneToOneField(ActRequest, on_delete=models.PROTECT, null=True)
    decided_by = models.CharField(max_length=150, null=True)  # noqa: DJ001
    completed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = '"credits"."grant_campaigns"'
        constraints = (
            models.CheckConstraint(
                name="grant_campaign_state_known",
                condition=Q(state__in=["pending", "running", "completed", "rejected", "withdrawn"]),
            ),
            models.CheckConstraint(
                name="grant_campaign_grants_something", condition=Q(count__gt=0, total__gt=0)
            ),
            models.CheckConstraint(
                # In the database, so that no code and no command can start a campaign that nobody
                # else approved.
                name="grant_campaign_is_decided_by_a_second_person",
                condition=Q(state="pending", request__isnull=False, decided_by__isnull=True)
                | Q(state="withdrawn", request__isnull=False, decided_by=F("asked_by"))
                | Q(state="rejected", request__isnull=False, decided_by__isnull=False)
                & ~Q(decided_by=F("asked_by"))
                | Q(state__in=["running", "completed"])
                & (
                    Q(request__isnull=True, decided_by__isnull=True)
                    | Q(request__isnull=False, decided_by__isnull=False)
                    & ~Q(decided_by=F("asked_by"))
                ),
            ),
            models.CheckConstraint(
                name="grant_campaign_completed_says_when",
                condition=Q(state="completed", completed_at__isnull=False)
                | ~Q(state="completed") & Q(completed_at__isnull=True),
            ),
            models.UniqueConstraint(
                # Rejected and withdrawn campaigns do not count: the same file may be asked for
                # again.
                name="grant_campaign_takes_a_file_once",
                fields=["name", "digest"],
                condition=Q(state__in=["pending", "running", "completed"]),
            ),
            models.UniqueConstraint(
                name="grant_file_used_once_unless_meant",
                fields=["digest"],
                condition=Q(state__in=["pending", "running", "completed"], again=False),
            ),
        )
        indexes = (
            models.Index(
                name="grant_campaign_running_idx",
                fields=["asked_at"],
                condition=Q(state="running"),
            ),
            models.Index(name="grant_campaign_by_age_idx", fields=["asked_at"]),
            models.Index(name="grant_campaign_by_operator_idx", fields=["asked_by", "-asked_at"]),
        )


class CampaignGrant(models.Model):
    """A line of a campaign's file: the grant to one user, and its outcome.

    An invalid line that was left out has no amount, and no user if the id is invalid.
    `detail` explains an outcome. The credits expire at `expires_at`, if it is set.
    """

    class Outcome(models.TextChoices):
        """Waiting, or what the ledger did with the grant."""

        WAITING = "waiting"
        GRANTED = "granted"
        BEFORE = "granted_before", "Granted before"
        DIFFERS = "had_another_amount", "Had another amount"
        REFUSED = "refused"
        LEFT_OUT = "left_out", "Left out"

    pk = models.CompositePrimaryKey("campaign_id", "line")
    # Without an index of its own, because the primary key begins with it.
    campaign = models.ForeignKey(
        GrantCampaign, on_delete=models.PROTECT, related_name="grants", db_index=False
    )
    line = models.IntegerField()
    user_id = user_id_field(blank=True)
    amount = amount_field(null=True)
    expires_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=20, choices=Outcome)
    detail = models.CharField(max_length=500, blank=True)

    class Meta:
        db_table = '"credits"."campaign_grants"'
        constraints = (
            models.CheckConstraint(
                name="campaign_grant_outcome_known",
                condition=Q(
                    outcome__in=[
                        *("waiting", "granted", "granted_before"),
                        *("had_another_amount", "refused", "left_out"),
                    ]
                ),
            ),
            models.CheckConstraint(
                name="campaign_grant_has_user_and_amount_unless_left_out",
                condition=Q(outcome="left_out") | Q(amount__gt=0) & ~Q(user_id=""),
            ),
        )
        indexes = (
            # For erasure and export, and for the limit of an operator on one account.
            models.Index(name="campaign_grant_by_user_idx", fields=["user_id"]),
            models.Index(
                name="campaign_grant_waiting_idx",
                fields=["campaign", "line"],
                condition=Q(outcome="waiting"),
            ),
        )
