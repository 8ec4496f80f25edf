"""The valid service keys, kept in memory so that a request costs no query for its key.

One thread of a process reloads the keys when they are older than RELOAD_SECONDS. The other threads
use the old keys until they are older than VALID_SECONDS. Therefore every process rejects a revoked
key within that time, also while the database cannot be reached.
"""

import time
from collections.abc import Mapping, Set
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import NamedTuple

import structlog
from django.db import Error, transaction
from django.db.models import Q

from credits.postgresql.database_errors import DatabaseUnavailable
from internal_api import service_keys
from internal_api.models import ServiceKey

RELOAD_SECONDS = 5
VALID_SECONDS = 10
# Seconds that a request waits for another thread's reload when the keys are too old.
WAIT = 1
# `last_used_at` is accurate to this; a busy key costs one update per minute and process.
USE_RECORDED_EVERY = timedelta(minutes=1)

logger = structlog.get_logger(__name__)


class _Loaded(NamedTuple):
    keys: Mapping[str, ServiceKey]
    at: float


class KnownKeys:
    """The keys of one process by their digests."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.forget()

    def forget(self) -> None:
        """Drop the keys so that the next request reloads them."""
        self._loaded = _Loaded({}, float("-inf"))
        self._used: set[str] = set()

    def find(self, secret: str) -> ServiceKey | None:
        """Return the valid key with this secret, or None. Raises the database's errors."""
        found = self._current().get(service_keys.digest(secret))
        if found is None or _expired(found):
            return None
        self._used.add(found.digest)
        return found

    def _current(self) -> Mapping[str, ServiceKey]:
        age = self._age()
        # While the keys are usable, only the thread that gets the lock at once reloads them.
        if age > RELOAD_SECONDS and self._lock.acquire(timeout=WAIT if age > VALID_SECONDS else 0):
            try:
                self._reload_if_old()
            finally:
                self._lock.release()
        if self._age() > VALID_SECONDS:
            raise DatabaseUnavailable  # another thread has waited for the database all this time
        return self._loaded.keys

    def _age(self) -> float:
        return time.monotonic() - self._loaded.at

    def _reload_if_old(self) -> None:
        started = time.monotonic()
        if self._age() <= RELOAD_SECONDS:
            return  # another thread reloaded the keys while this one waited for the lock
        now = datetime.now(UTC)
        keys = {key.digest: key for key in service_keys.valid(now=now)}
        # The time before the query, because a key may be revoked while it runs. One assignment of a
        # tuple, so that other threads see keys and time of the same reload.
        self._loaded = _Loaded(keys, started)
        self._record_use(now)

    def _record_use(self, now: datetime) -> None:
        """Record which keys were used. A failure, as on a standby, refuses no request."""
        used, self._used = self._used, set()
        try:
            if used:
                # A copy: another thread may still add a key to the set.
                record_use(frozenset(used), now=now)
        except Error as error:
            # Kept for the next reload.
            self._used |= used
            logger.warning("use_of_service_keys_not_recorded", error=type(error).__name__)


@transaction.atomic
def record_use(digests: Set[str], *, now: datetime) -> None:
    """Set `last_used_at` of the keys with these digests, unless it is less than a minute old."""
    not_recent = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - USE_RECORDED_EVERY)
    ServiceKey.objects.filter(not_recent, digest__in=digests).update(last_used_at=now)


def _expired(key: ServiceKey) -> bool:
    return key.expires_at is not None and key.expires_at <= datetime.now(UTC)


KNOWN = KnownKeys()
