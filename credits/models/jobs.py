"""Runs of the worker's jobs: what the metrics and the back office say of them."""

from django.db import models
from django.db.models import Q


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
