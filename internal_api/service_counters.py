"""Requests of services, counted for Prometheus."""

from functools import cache

from prometheus_client import Counter

REQUESTS = Counter(
    "mana_credits_service_requests_total",
    "Requests by the name of the service's key; the shared key has the empty name.",
    ("service",),
)


@cache
def requests(service: str) -> Counter:
    """Return the counter of one service's requests."""
    return REQUESTS.labels(service)
