"""What the service counts of itself, for Prometheus; summed over all worker processes."""

import os
from functools import cache

from prometheus_client import (
    CollectorRegistry,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.registry import REGISTRY

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


def exposition() -> bytes:
    """Return all metrics in Prometheus' text format."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
