"""Runs of the worker's jobs, and the rows that failed in them."""

from django.db import models
from django.db.models import Q

from credits.models.fields import user_id_field


class JobRun(models.Model):
    """One job: when it was started last, when that went well or failed, and what it came to.

    `succeeded_at` and `failed_at` are the starts of such runs; `result` counts the last run's
    outcomes. A nightly job has done the nights up to `night`; until `claimed_until` one process has
    it, and the others leave it alone.
    """

    name = models.CharField(max_length=64, primary_key=True)
    started_at = models.DateTimeField(null=True)
    succeeded_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    result = models.JSONField(default=dict)
    error = models.CharField(max_length=500, blank=True, db_default="")
    night = models.DateField(null=True)
    claimed_until = models.DateTimeField(null=True)

    class Meta:
        db_table = '"credits"."job_runs"'
        constraints = (
            models.CheckConstraint(
                name="job_failure_has_its_error",
                condition=Q(error="") | Q(failed_at__isnull=False),
            ),
        )


class PostponedRow(models.Model):
    """A row that a job could not settle: `error` is what it raised last.

    The job tries the row again at `due_at`, and deletes this record when the row is settled.
    `user_id` is empty for a row that belongs to no user.
    """

    pk = models.CompositePrimaryKey("user_id", "job", "row_id")
    user_id = user_id_field()
    job = models.CharField(max_length=64)
    row_id = models.CharField(max_length=255)
    attempts = models.IntegerField()
    due_at = models.DateTimeField()
    error = models.CharField(max_length=500)

    class Meta:
        db_table = '"credits"."postponed_rows"'
        constraints = (
            models.CheckConstraint(name="postponed_row_was_attempted", condition=Q(attempts__gt=0)),
        )
