"""What the service counts of itself, for Prometheus; summed over all worker processes."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache

from django.db import DatabaseError
from prometheus_client import (
    CollectorRegistry,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import REGISTRY, Collector

from credits import worker
from credits.models import JobRun

REQUESTS = Histogram(
    "mana_credits_request_duration_seconds",
    "Requests by method, route and status, with their duration.",
    ("method", "route", "status"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


@cache
def requests(method: str, route: str, status: int) -> Histogram:
    """Return the histogram of one kind of request."""
    return REQUESTS.labels(method, route, status)


class JobsCollector(Collector):
    """How the worker's jobs stand, asked of the database at the moment of the scrape."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield nothing while the database is away: the other metrics are needed then."""
        success = GaugeMetricFamily(
            "mana_credits_job_last_success_timestamp_seconds",
            "When the last run of a job that went well was started.",
            labels=["job"],
        )
        age = GaugeMetricFamily(
            "mana_credits_job_oldest_due_age_seconds",
            "For how long the oldest row has been due that a job takes; 0 when none is.",
            labels=["job"],
        )
        try:
            for run in JobRun.objects.all():
                if run.succeeded_at:
                    success.add_metric([run.name], run.succeeded_at.timestamp())
            for job in worker.jobs().values():
                if job.next_due:
                    age.add_metric([job.name], _age(job.next_due()))
        except DatabaseError:
            return
        yield success
        yield age


def _age(due: datetime | None) -> float:
    return max(0.0, (datetime.now(UTC) - due).total_seconds()) if due else 0.0


JOBS = CollectorRegistry()
JOBS.register(JobsCollector())


def exposition() -> bytes:
    """Return all metrics in Prometheus' text format."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry) + generate_latest(JOBS)
