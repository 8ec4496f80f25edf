"""How each process uses its pool of database connections, for Prometheus."""

import time
from threading import Thread

from django.db import connection
from prometheus_client import Gauge

SECONDS = 5

CONNECTIONS = Gauge(
    "mana_credits_database_connections",
    "Connections of the processes' pools, by state.",
    ("state",),
    multiprocess_mode="livesum",
)
WAITING = Gauge(
    "mana_credits_database_waiting",
    "Requests that wait for a connection of their process's pool.",
    multiprocess_mode="livesum",
)
REFUSED = Gauge(
    "mana_credits_database_refused",
    "Requests that waited in vain for a connection, since their processes started.",
    multiprocess_mode="livesum",
)


def watch() -> None:
    """Look at this process's pool every few seconds, as long as the process lives."""
    Thread(target=_look_again_and_again, name="pool-watch", daemon=True).start()


def look() -> None:
    """Set the gauges to what the pool says now."""
    stats = connection.pool.get_stats()  # type: ignore[attr-defined]
    idle = stats["pool_available"]
    CONNECTIONS.labels("idle").set(idle)
    CONNECTIONS.labels("lent").set(stats["pool_size"] - idle)
    WAITING.set(stats["requests_waiting"])
    REFUSED.set(stats.get("requests_errors", 0))


def _look_again_and_again() -> None:
    while True:
        look()
        time.sleep(SECONDS)
