"""Reads that may be about a second old: they go to a standby if one is set and up to date.

`may_lag` marks a function of this kind: statements, exports, figures. Balances, and everything that
decides about credits, are read from the primary. Without REPLICA_DATABASE_URL, the function is
called as it is. See docs/decisions/0098-reads-from-a-standby.md.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import wraps
from threading import Lock
from typing import Any, ParamSpec, TypeVar

import structlog
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from prometheus_client import Counter
from psycopg.errors import QueryCanceled

from credits.postgresql import bounded_connection

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

ALIAS = "replica"
STILL_VALID_SECONDS = 1  # how long a check of the standby counts
RETRY_SECONDS = 10  # for a standby that is away or lags
CHECK_SECONDS = 1

READS = Counter(
    "mana_credits_replica_reads_total", "Reads that may go to the standby.", ("server",)
)
# A standby that has replayed all of the primary's WAL is up to date, however old its last commit
# is. `pg_last_wal_receive_lsn()` would not do: it stays where it is while the primary is cut off.
_PRIMARY = "SELECT pg_current_wal_lsn()::text"
_STANDBY = """
    SELECT CASE
        WHEN NOT pg_is_in_recovery() THEN 'Infinity'
        WHEN pg_last_wal_replay_lsn() >= %(primary)s::pg_lsn THEN 0
        ELSE coalesce(
            extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 'Infinity'
        )
    END::float8
"""

_alias: ContextVar[str] = ContextVar("database_of_reads", default=DEFAULT_DB_ALIAS)
logger = structlog.get_logger(__name__)


def may_lag(read: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Run the function on the standby, and on the primary if the standby is away or lags.

    The function must only read, and must not return a lazy result. It runs again on the primary if
    the standby fails meanwhile. Inside a transaction of the caller, it reads from the primary.
    """

    @wraps(read)
    def reading(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        if server() == ALIAS:
            try:
                with _reading_from(ALIAS):
                    return read(*args, **kwargs)
            except (OperationalError, InterfaceError) as error:
                if isinstance(error.__cause__, QueryCanceled):  # its own time limit, not a failure
                    raise
                standby.lost(error)
        return read(*args, **kwargs)

    return reading


def server() -> str:
    """Return the alias of the database that serves a read of this kind now."""
    if ALIAS not in connections.settings or connections[DEFAULT_DB_ALIAS].in_atomic_block:
        return DEFAULT_DB_ALIAS
    chosen = ALIAS if standby.is_usable() else DEFAULT_DB_ALIAS
    READS.labels(chosen).inc()
    return chosen


def connection() -> BaseDatabaseWrapper:
    """Return the connection for the statements of a function that is marked with `may_lag`."""
    return connections[_alias.get()]


class Router:
    """Django's router: queries of a function marked with `may_lag` go to its server."""

    def db_for_read(self, model: object, **hints: Any) -> str:
        """Return the server of the function that is running."""
        return _alias.get()

    def db_for_write(self, model: object, **hints: Any) -> str:
        """Return the primary, also for objects that were read from the standby."""
        return DEFAULT_DB_ALIAS

    def allow_relation(self, one: object, other: object, **hints: Any) -> bool:
        """Allow relations between objects from both servers: they have the same rows."""
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        """Allow migrations of the primary only."""
        return db == DEFAULT_DB_ALIAS


class Standby:
    """Whether the standby may be read, as this process last found out. Threads may share it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._checking = Lock()
        self._usable = False
        self._valid_until = float("-inf")

    def is_usable(self) -> bool:
        """Return whether the standby is at most REPLICA_LAG_SECONDS behind.

        One thread asks both servers, at most every second. Meanwhile, others use the primary.
        """
        if self._clock() < self._valid_until:
            return self._usable
        # Waiting for the check would take as long as a standby that does not answer.
        if not self._checking.acquire(blocking=False):
            return False
        try:
            self._check()
        finally:
            self._checking.release()
        return self._usable

    def lost(self, reason: object) -> None:
        """Use the primary for RETRY_SECONDS."""
        with suppress(DatabaseError):
            connections[ALIAS].close()
        logger.warning("replica_unused", reason=str(reason))
        self._record(usable=False)

    def _check(self) -> None:
        try:
            with bounded_connection.within(CHECK_SECONDS):
                lag = lag_seconds()
        except DatabaseError as error:
            self.lost(error)
            return
        if lag > settings.REPLICA_LAG_SECONDS:
            self.lost(f"it is {lag:.1f} seconds behind")
        else:
            self._record(usable=True)

    def _record(self, *, usable: bool) -> None:
        self._usable = usable
        self._valid_until = self._clock() + (STILL_VALID_SECONDS if usable else RETRY_SECONDS)


standby = Standby()


def lag_seconds() -> float:
    """Return how many seconds the standby is behind, or infinity for a server that is no standby.

    Asks both servers. Raises DatabaseError.
    """
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(_PRIMARY)
        (primary,) = cursor.fetchone()
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(_STANDBY, {"primary": primary})
        (lag,) = cursor.fetchone()
    return float(lag)


@contextmanager
def _reading_from(alias: str) -> Iterator[None]:
    token = _alias.set(alias)
    try:
        yield
    finally:
        _alias.reset(token)
