"""What the domain counts of itself, for Prometheus: the movements that were asked for."""

from functools import cache

from prometheus_client import Counter

MOVEMENTS = Counter(
    "mana_credits_movements_total",
    "Movements of credits that the ledger was asked for, by kind and outcome.",
    ("kind", "outcome"),
)


@cache
def movements(kind: str, outcome: str) -> Counter:
    """Return the counter of one kind (`usage`, `reserve` …) that came out so (`posted` …).

    Counted when the database answered: a transaction around it may still be rolled back.
    """
    return MOVEMENTS.labels(kind, outcome)
