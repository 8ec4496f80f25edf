"""Prometheus gauges of each process's database connection pool."""

import time
from threading import Thread

from django.db import connection
from prometheus_client import Gauge

SECONDS = 5

CONNECTIONS = Gauge(
    "mana_credits_database_connections",
    "Connections in the pools of all processes, by state.",
    ("state",),
    multiprocess_mode="livesum",
)
WAITING = Gauge(
    "mana_credits_database_waiting",
    "Requests waiting for a connection from their process's pool.",
    multiprocess_mode="livesum",
)
REFUSED = Gauge(
    "mana_credits_database_refused",
    "Requests that timed out waiting for a connection, since their process started.",
    multiprocess_mode="livesum",
)


def watch() -> None:
    """Start a thread that updates the gauges every SECONDS until the process ends."""
    Thread(target=_look_again_and_again, name="pool-watch", daemon=True).start()


def look() -> None:
    """Set the gauges from the pool's current statistics."""
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
