"""Runs of the worker's jobs, and rows that a job failed to settle."""

from django.db import models
from django.db.models import Q

from credits.models.fields import user_id_field


class JobRun(models.Model):
    """One job: the start and result of its last run.

    `succeeded_at` and `failed_at` are the starts of the last run that succeeded and the last one
    that failed. `result` counts the outcomes of the last run. `differences` has what the last run
    could not explain: pairs of an object's name (`refund re_1`) and a sentence. `night` is the last
    night that a nightly job completed. Until `claimed_until` one process has claimed the job, and
    the others skip it.
    """

    name = models.CharField(max_length=64, primary_key=True)
    started_at = models.DateTimeField(null=True)
    succeeded_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    result = models.JSONField(default=dict)
    error = models.CharField(max_length=500, blank=True, db_default="")
    differences = models.JSONField(default=list)
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
    """A row that a job failed to settle; `error` is the last error.

    The job retries the row at `due_at` and deletes this record when the row is settled. `user_id`
    is empty if the row does not belong to a user.
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
