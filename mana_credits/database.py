"""How Django reaches the database: pooled per process, directly or through PgBouncer."""

from collections.abc import Mapping
from typing import Any

KEYS = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}


def settings_of(
    parts: Mapping[str, Any],
    *,
    session: Mapping[str, str],
    pool_size: int,
    prepared: bool,
    behind_pooler: bool,
) -> dict[str, Any]:
    """Return Django's settings of the database; `parts` are those of its libpq URL.

    `session` are PostgreSQL's settings of every connection. A pooler that lends connections for a
    transaction cannot take them from us (PgBouncer refuses `options`, and a SET would reach
    somebody else's transaction): behind one the pooler sets them, see `ops/pgbouncer.ini`.
    """
    options: dict[str, Any] = {name: parts[name] for name in parts if name not in KEYS}
    options["prepare_threshold"] = 1 if prepared else None
    options["pool"] = {"min_size": 1, "max_size": pool_size, "timeout": 3}
    if not behind_pooler:
        options["options"] = " ".join(f"-c {name}={value}" for name, value in session.items())
    return {
        "ENGINE": "django.db.backends.postgresql",
        **{setting: parts.get(name, "") for name, setting in KEYS.items()},
        "OPTIONS": options,
        # A cursor of the server would stay behind on a connection that is somebody else's by then.
        "DISABLE_SERVER_SIDE_CURSORS": behind_pooler,
    }
