"""Django's database settings: one connection pool per process, directly or through PgBouncer."""

from collections.abc import Mapping, Sequence
from typing import Any

from credits.postgresql.bounded_connection import bounded
from credits.postgresql.service_role import Role
from mana_credits.environment import EnvironmentInvalid

# Detects a host that drops packets within seconds. Parameters in DATABASE_URL take precedence.
NETWORK = {
    "connect_timeout": "2",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
# How long psycopg's pool retries a lost connection in the background. Its pauses double, by default
# up to minutes. After this time, each request that needs a connection starts a new attempt.
RECONNECT_SECONDS = 2
REQUEST_WAIT_SECONDS = 1.5  # for a connection
COMMAND_WAIT_SECONDS = 10
# Commands that change the schema, or write the ledger without its functions.
OWNER_COMMANDS = frozenset(
    {
        "migrate",
        "import_legacy",
        "backfill_balances",
        "backfill_operations",
        "backfill_usage_stats",
        "distribute",
    }
)
OWN_OPTIONS = ("prepare_threshold", "options")  # that do not depend on the server
KEYS = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}


def parts_for(
    argv: Sequence[str], *, service: Mapping[str, Any], owner: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    """Return the URL's parts that a command line connects with: the owner's, or the service's."""
    return owner if owner and set(argv[1:2]) & OWNER_COMMANDS else service


def service_role(
    service: Mapping[str, Any], owner: Mapping[str, Any] | None, *, password: str
) -> Role | None:
    """Return the role of the service, if another one owns the tables.

    `password` is that of a URL without one. Raises EnvironmentInvalid if the URL names no role.
    """
    if not owner:
        return None
    if not service.get("user"):
        raise EnvironmentInvalid("DATABASE_URL names no role, but MIGRATIONS_DATABASE_URL is set.")
    return Role(service["user"], service.get("password", password))


def replica_settings(primary: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return Django's database settings for a standby: those of the primary, at another URL.

    Its pool opens connections only when one is needed, and gives up soon if the standby is away.
    """
    options = NETWORK | {name: parts[name] for name in parts if name not in KEYS}
    kept = {name: primary["OPTIONS"][name] for name in OWN_OPTIONS if name in primary["OPTIONS"]}
    pool = primary["OPTIONS"]["pool"] | {"min_size": 0, "timeout": REQUEST_WAIT_SECONDS}
    return {
        **primary,
        **{setting: parts.get(name, "") for name, setting in KEYS.items()},
        "OPTIONS": options | kept | {"pool": pool},
    }


def settings_of(
    parts: Mapping[str, Any],
    *,
    session: Mapping[str, str],
    pool_size: int,
    prepared: bool,
    behind_pooler: bool,
    answer_seconds: float,
) -> dict[str, Any]:
    """Return Django's database settings for the parts of a libpq URL.

    `answer_seconds` limits the wait for each answer of the database. 0 sets no limit, which suits
    commands.

    `session` holds PostgreSQL's settings for every connection. A transaction pooler cannot receive
    them from the client: PgBouncer rejects `options`, and a SET would affect another client's
    transaction. Behind a pooler, the pooler sets them (`ops/pgbouncer.ini`).
    """
    options: dict[str, Any] = NETWORK | {name: parts[name] for name in parts if name not in KEYS}
    # 1: psycopg prepares a statement at its second execution. None: never.
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
        # A server-side cursor outlives its transaction, and the pooler lends that connection to
        # another client by then.
        "DISABLE_SERVER_SIDE_CURSORS": behind_pooler,
    }
