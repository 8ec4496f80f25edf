"""How Django reaches the database: pooled per process, directly or through PgBouncer."""

from collections.abc import Mapping
from typing import Any

from credits.bounded_connection import bounded

# A host that drops packets is noticed within seconds. What DATABASE_URL says counts instead.
NETWORK = {
    "connect_timeout": "2",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
# For how long psycopg's pool retries a lost connection by itself. Its pauses double until then, up
# to minutes by default; afterwards each request that needs a connection starts a new attempt.
RECONNECT_SECONDS = 2
REQUEST_WAIT_SECONDS = 1.5  # for a connection
COMMAND_WAIT_SECONDS = 10
KEYS = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}


def settings_of(
    parts: Mapping[str, Any],
    *,
    session: Mapping[str, str],
    pool_size: int,
    prepared: bool,
    behind_pooler: bool,
    answer_seconds: float,
) -> dict[str, Any]:
    """Return Django's settings of the database; `parts` are those of its libpq URL.

    `answer_seconds` bounds the wait for each answer of the database; 0: no bound, for commands.

    `session` are PostgreSQL's settings of every connection. A pooler that lends connections for a
    transaction cannot take them from us (PgBouncer refuses `options`, and a SET would reach
    somebody else's transaction): behind one the pooler sets them, see `ops/pgbouncer.ini`.
    """
    options: dict[str, Any] = NETWORK | {name: parts[name] for name in parts if name not in KEYS}
    options["prepare_threshold"] = 1 if prepared else None
    options["pool"] = {
        "connection_class": bounded(answer_seconds),
        "min_size": 1,
        "max_size": pool_size,
        "timeout": REQUEST_WAIT_SECONDS if answer_seconds else COMMAND_WAIT_SECONDS,
        "reconnect_timeout": RECONNECT_SECONDS,
    }
    if not behind_pooler:
        options["options"] = " ".join(f"-c {name}={value}" for name, value in session.items())
    return {
        "ENGINE": "mana_credits.database_backend",
        **{setting: parts.get(name, "") for name, setting in KEYS.items()},
        "OPTIONS": options,
        # A cursor of the server would stay behind on a connection that is somebody else's by then.
        "DISABLE_SERVER_SIDE_CURSORS": behind_pooler,
    }
