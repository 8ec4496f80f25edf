"""Prometheus counters of requested movements."""

from functools import cache

from prometheus_client import Counter

MOVEMENTS = Counter(
    "mana_credits_movements_total",
    "Requested movements of credits, by kind and outcome.",
    ("kind", "outcome"),
)


@cache
def movements(kind: str, outcome: str) -> Counter:
    """Return the counter of one kind (`usage`, `reserve` …) and outcome (`posted` …).

    A movement is counted when the database answers. Its transaction may still be rolled back.
    """
    return MOVEMENTS.labels(kind, outcome)
